"""Constraint-based sharing: an encoder for each task, held near their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.errors import require
from saliency.model.encoder import Encoder
from saliency.model.sharing.base import (
    Readers,
    SharedFeatures,
    Sharing,
    SharingOptions,
    copies,
    for_heads,
)


class MeanConstraint(Sharing):
    """Every task has its own encoder, and a penalty holds them together.

    `penalty = sum_t ||theta_t - mean_u theta_u||^2`

    theta_t are all trained parameters of task t's encoder. Strength 0 is separate networks, a
    large one is hard sharing by force. All encoders start as one, where the penalty is 0.

    Shared, for strategies that look at gradients, are the parameters of all encoders. Each task
    has a gradient in its own alone, so the tasks' gradients are orthogonal by construction;
    `features` are each task's own too.

    Cost: T encoders, in parameters and in FLOPs.

    Source:
        Evgeniou, Pontil, "Regularized multi-task learning" (2004), equation 10, for all layers of
        a network.
    """

    def __init__(self, encoder: Encoder, task_count: int) -> None:
        super().__init__(task_count)
        self.others = copies(encoder, task_count - 1)

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return each task's features, from its own encoder."""
        by_task = tuple(e(images) for e in self.encoders(encoder))
        if self.training:
            by_task = tuple(for_heads(features) for features in by_task)
        return SharedFeatures(by_task, tuple(zip(*by_task, strict=True)))

    def penalty(self, encoder: Encoder, readers: Readers) -> Tensor:
        """Return the squared distance of the encoders' parameters from their mean."""
        trained = [[p for p in e.parameters() if p.requires_grad] for e in self.encoders(encoder)]
        return spread(list(zip(*trained, strict=True)))


def spread(groups: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return the summed squared distance of each group's tensors from the group's mean."""
    total = torch.zeros(())
    for group in groups:
        stacked = torch.stack(list(group))
        total = total.to(stacked) + (stacked - stacked.mean(dim=0)).square().sum()
    return total


@dataclass(frozen=True, kw_only=True)
class MeanConstraintOptions(SharingOptions):
    """`sharing.name = "mean_constraint"`.

    Attributes:
        strength: Factor of the penalty.
    """

    name: Literal["mean_constraint"] = "mean_constraint"
    strength: float = 1e-2

    def __post_init__(self) -> None:
        require(self.strength >= 0, "strength", ">= 0", self.strength)

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return MeanConstraint(encoder, task_count)
