"""How the aesthetic branch guides the saliency decoder: by channel, or by place."""

import torch
from torch import Tensor, nn


class FiLM(nn.Module):
    """Scale and shift each channel by an embedding: `(1 + gamma(e)) x + beta(e)`.

    Starts as the identity, so that guidance has no influence before training.

    Source:
        Perez et al., "FiLM: Visual reasoning with a general conditioning layer" (2018).
    """

    def __init__(self, embedding_length: int, channels: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(embedding_length, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def factors(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return `1 + gamma` and `beta`, (B, channels, 1, 1), for (B, embedding_length)."""
        gamma, beta = torch.chunk(self.modulation(embedding)[:, :, None, None], 2, dim=1)
        return 1 + gamma, beta

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Return (B, channels, h, w) modulated by `embedding` (B, embedding_length)."""
        scale, shift = self.factors(embedding)
        return scale * x + shift


class SpatialGate(nn.Module):
    """Scale each place by its share in the aesthetic embedding: `(1 + tanh(w . maps)) x`.

    Starts as the identity, as `FiLM` does.

    Source:
        Class activation maps: Zhou et al., "Learning deep features for discriminative
        localization" (2016); as a gate: Woo et al., "CBAM: Convolutional block attention module"
        (2018).
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(maps, 1, 1, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, x: Tensor, activation_maps: Tensor) -> Tensor:
        """Return (B, channels, h, w) gated by `activation_maps` (B, maps, h, w)."""
        gated: Tensor = (1 + self.mix(activation_maps).tanh()) * x
        return gated
