"""Cross-stitch networks: a learned mixture of the tasks' features behind each stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saliency.model.encoder import Encoder
from saliency.model.sharing.stitched import StitchedEncoders, nearly_own


class CrossStitch(StitchedEncoders):
    """Every task has its own encoder, and takes from the others' features what serves it.

    `x_t' = sum_u A[t, u] x_u` behind each stage

    A is a (T, T) matrix a stage, or one for each of its channels. Identity is separate networks,
    1 / T throughout averages them; it starts near the identity and learns at a rate of its own,
    which the paper has 10 to 1,000 times the encoder's.

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
        )  # (C or 1, T, T) a stage

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
