"""Cross-stitch networks: a learned mixture of the tasks' features behind each stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from saliency.errors import require
from saliency.model.encoder import Encoder
from saliency.model.sharing.base import Sharing, SharingOptions
from saliency.model.sharing.stitched import StitchedEncoders, nearly_own


class CrossStitch(StitchedEncoders):
    """Every task has its own encoder and reads a learned mixture of all tasks' features.

    `x_t' = sum_u A[t, u] x_u` behind each stage

    A is a (T, T) matrix for each stage, or one for each of its channels. The identity means
    separate networks, 1 / T throughout averages them; A starts near the identity and learns at a
    rate of its own, which the paper has 10 to 1,000 times the encoder's.

    Cost: T encoders, in parameters and in FLOPs; the matrices themselves are nothing.

    Source:
        Misra, Shrivastava, Gupta, Hebert, "Cross-stitch networks for multi-task learning" (2016).
    """

    def __init__(self, encoder: Encoder, task_count: int, *, per_channel: bool = False) -> None:
        super().__init__(encoder, task_count)
        start = nearly_own(task_count)
        self.stitches = nn.ParameterList(
            nn.Parameter(start.expand(channels if per_channel else 1, -1, -1).clone())
            for channels in encoder.channels
        )  # (C or 1, T, T) for each stage

    def mix(self, stage: int, features: Tensor) -> Tensor:
        """Return (T, B, C, h, w) mixtures, channel by channel."""
        stitch = self.stitches[stage].to(features.dtype)
        mixed: Tensor
        if len(stitch) == 1:  # much faster than channel by channel
            mixed = torch.tensordot(stitch[0], features, dims=1)
        else:
            mixed = torch.einsum("ctu,ubchw->tbchw", stitch, features)
        return mixed

    def describe(self) -> dict[str, object]:
        """Return the mean mixing matrix of each stage."""
        return {"stitches": [stitch.detach().mean(dim=0).tolist() for stitch in self.stitches]}


@dataclass(frozen=True, kw_only=True)
class CrossStitchOptions(SharingOptions):
    """`sharing.name = "cross_stitch"`.

    Attributes:
        lr: Learning rate of the mixing matrices, far above the encoder's.
        per_channel: Whether each channel has its own mixing weights, else each stage.
    """

    name: Literal["cross_stitch"] = "cross_stitch"
    lr: float = 1e-2
    per_channel: bool = False

    def __post_init__(self) -> None:
        require(self.lr >= 0, "lr", ">= 0", self.lr)

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return CrossStitch(encoder, task_count, per_channel=self.per_channel)
