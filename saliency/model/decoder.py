"""The saliency decoder: from the encoder's features to saliency logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.model.guidance import FiLM, SpatialGate

GROUPS = 8
"""Groups of group normalisation, which, unlike batch normalisation, sees one image at a time."""


def separable(channels: int, kernel_size: int, dilation: int = 1) -> nn.Sequential:
    """Return a depthwise and a pointwise convolution, normalised and rectified."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(
            channels,
            channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=channels,
            bias=False,
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.GroupNorm(GROUPS, channels),
        nn.ReLU(inplace=True),
    )


class Context(nn.Module):
    """Add context by dilated convolutions, gated by the mean over the whole photo.

    Whether something stands out depends on the rest of the photo.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(separable(channels, 3, dilation) for dilation in (1, 2, 4))
        self.merge = nn.Conv2d(3 * channels, channels, 1)
        self.gate = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, h, w)."""
        merged: Tensor = self.merge(torch.cat([branch(x) for branch in self.branches], dim=1))
        gate: Tensor = self.gate(x.mean(dim=(2, 3))).sigmoid()[:, :, None, None]
        return x + gate * merged


class DecoderStage(nn.Module):
    """Merge one encoder stage into the coarser map: project, add, modulate, refine."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        embedding_length: int | None,
        activation_maps: int | None,
        wide: bool,
    ) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.film = FiLM(embedding_length, channels) if embedding_length else None
        self.gate = SpatialGate(activation_maps) if activation_maps else None
        self.refine = separable(channels, 5)
        self.context = Context(channels) if wide else nn.Identity()

    def forward(
        self,
        feature: Tensor,
        coarser: Tensor | None,
        embedding: Tensor | None,
        activation_maps: Tensor | None,
    ) -> Tensor:
        """Return (B, channels, h, w) at `feature`'s own (h, w)."""
        return self.finish(self.merge(feature, coarser, embedding), activation_maps)

    def merge(self, feature: Tensor, coarser: Tensor | None, embedding: Tensor | None) -> Tensor:
        """Project, add, modulate by channel; the result is (B, channels, h, w)."""
        x: Tensor = self.norm(self.project(feature))
        if coarser is not None:
            x = x + F.interpolate(coarser, x.shape[2:], mode="bilinear")
        if self.film is not None and embedding is not None:
            x = self.film(x, embedding)
        return x

    def finish(self, merged: Tensor, activation_maps: Tensor | None) -> Tensor:
        """Modulate by place, rectify, refine; all are (B, channels, h, w)."""
        if self.gate is not None and activation_maps is not None:
            merged = self.gate(merged, activation_maps)
        x = F.relu(merged)
        refined: Tensor = self.context(x + self.refine(x))
        return refined


class SaliencyDecoder(nn.Module):
    """A feature pyramid read from the deepest stage up, each stage guided by the embedding.

    Source:
        Lin et al., "Feature pyramid networks for object detection" (2017), with depthwise
        separable 5x5 convolutions for the large receptive field that saliency needs.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        embedding_length: int | None = None,
        activation_maps: int | None = None,
        auxiliary_outputs: int = 0,
    ) -> None:
        """Build the decoder.

        Args:
            in_channels: Channels of the encoder stages it reads, shallow to deep.
            channels: Width of the decoder, a multiple of 8.
            embedding_length: Length of the embedding that modulates channels; None for none.
            activation_maps: Number of the maps that gate places; None for none.
            auxiliary_outputs: Number of coarser stages that give their own logits in training.
        """
        super().__init__()
        self.stages = nn.ModuleList(
            # Context is cheapest and most useful where the map is coarse.
            DecoderStage(
                width,
                channels,
                embedding_length=embedding_length,
                activation_maps=activation_maps,
                wide=index >= 2,
            )
            for index, width in enumerate(in_channels)
        )
        self.head = nn.Conv2d(channels, 1, 1)
        self.auxiliary_heads = nn.ModuleList(
            nn.Conv2d(channels, 1, 1) for _ in range(auxiliary_outputs)
        )

    def reader(self, stage: int) -> Tensor:
        """Return the (channels, C_i) weight that reads a stage, counted from the shallowest."""
        read = self.stages[stage]
        assert isinstance(read, DecoderStage)  # noqa: S101
        return read.project.weight[:, :, 0, 0]

    def forward(
        self,
        features: Sequence[Tensor],
        embedding: Tensor | None = None,
        activation_maps: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return logits and auxiliary logits.

        Args:
            features: One (B, C, h_i, w_i) for each stage, shallow to deep.
            embedding: (B, embedding_length) of the aesthetic head.
            activation_maps: (B, maps, h_i, w_i) of the aesthetic head, for each stage.

        Returns:
            (B, h_0, w_0) logits at the shallowest stage, and while training one (B, h_i, w_i) for
            each of the coarsest stages that have an auxiliary head.
        """
        x: Tensor | None = None
        auxiliary: list[Tensor] = []
        coarse_heads = list(self.auxiliary_heads) if self.training else []
        maps: Sequence[Tensor | None] = activation_maps or [None] * len(features)
        for stage, feature, here in zip(
            reversed(self.stages), reversed(features), reversed(maps), strict=True
        ):
            x = stage(feature, x, embedding, here)
            if len(auxiliary) < len(coarse_heads):
                auxiliary.append(coarse_heads[len(auxiliary)](x)[:, 0])
        assert x is not None, "a decoder has at least one stage"  # noqa: S101
        return self.head(x)[:, 0], tuple(auxiliary)
