"""Base of cross-stitch and sluice networks: encoders that exchange features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saliency.model.encoder import Encoder
from saliency.model.sharing.base import SharedFeatures, Sharing, copies, for_heads

OWN = 0.9
"""Share of a task's own features in the mixture that training starts from."""


class StitchedEncoders(Sharing):
    """An encoder for each task; after every stage their features are mixed, for the next stage too.

    Shared, for strategies that look at gradients, are the parameters of all encoders, since each
    task's loss reaches all of them; their last layers lie before the last mixture. `features` are
    those after the mixtures, which each task's head has for itself.
    """

    def __init__(self, encoder: Encoder, task_count: int) -> None:
        super().__init__(task_count)
        self.others = copies(encoder, task_count - 1)
        self.stages(encoder)  # now, if they cannot be had

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return each task's mixture of all tasks' features."""
        tasks = [images] * self.task_count
        by_stage = []
        for number, stages in enumerate(self.stages(encoder)):
            own = torch.stack([stage(x) for stage, x in zip(stages, tasks, strict=True)])
            tasks = list(self.mix(number, own))
            by_stage.append(self.read(number, tasks))
        by_task = tuple(map(list, zip(*by_stage, strict=True)))
        if self.training:
            by_task = tuple(map(for_heads, by_task))
        return SharedFeatures(by_task, tuple(zip(*by_task, strict=True)))

    def stages(self, encoder: Encoder) -> list[tuple[nn.Module, ...]]:
        """Return each stage of all tasks' encoders, shallow to deep."""
        return list(zip(*(each.stages() for each in self.encoders(encoder)), strict=True))

    def mix(self, stage: int, features: Tensor) -> Tensor:
        """Return (T, B, C, h, w) mixtures of all tasks' `features` (T, B, C, h, w)."""
        raise NotImplementedError

    def read(self, stage: int, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the features that each task's head reads from its mixture."""
        return list(features)


def nearly_own(count: int) -> Tensor:
    """Return a (count, count) matrix that keeps `OWN` of each and shares the rest evenly."""
    if count == 1:
        return torch.ones(1, 1)
    off = (1 - OWN) / (count - 1)
    return torch.full((count, count), off) + (OWN - off) * torch.eye(count)


def matrices(count: int, size: int) -> nn.ParameterList:
    """Return `count` mixing matrices of `size` x `size` that nearly leave everything as it is."""
    return nn.ParameterList(nn.Parameter(nearly_own(size)) for _ in range(count))
