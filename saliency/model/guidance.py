"""How the aesthetic branch guides the saliency decoder."""

import torch
from torch import Tensor, nn


class FiLM(nn.Module):
    """Scale and shift each channel by an embedding: `(1 + gamma(e)) x + beta(e)`.

    Starts as the identity, so that guidance has to earn its influence.

    Source:
        Perez et al., "FiLM: Visual reasoning with a general conditioning layer" (2018).
    """

    def __init__(self, embedding_length: int, channels: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(embedding_length, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Return (B, channels, h, w) modulated by `embedding` (B, embedding_length)."""
        gamma, beta = torch.chunk(self.modulation(embedding)[:, :, None, None], 2, dim=1)
        return (1 + gamma) * x + beta
