"""Weights from the losses at the start of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from saliency.errors import require
from saliency.tasks import Task
from saliency.weighting.base import EPS, TaskWeighting, WeightingOptions


class InitialLosses(nn.Module):
    """The running mean of each task's loss over the first batches that have it."""

    sums: Tensor
    counts: Tensor

    def __init__(self, task_count: int, batches: int) -> None:
        """Wait for the first batch.

        Args:
            task_count: K.
            batches: Number of batches of each task in its mean.
        """
        super().__init__()
        self.batches = batches
        self.register_buffer("sums", torch.zeros(task_count))
        self.register_buffer("counts", torch.zeros(task_count))

    def forward(self, values: Tensor) -> Tensor:
        """Add (K,) losses, nan for absent tasks; return (K,) means, nan for tasks not seen yet."""
        enters = values.isfinite() & (self.counts < self.batches)
        self.sums = self.sums + torch.where(enters, values, 0)
        self.counts = self.counts + enters
        return self.sums / self.counts


class InitialWeighting(TaskWeighting):
    """Weights from the initial losses: `w_k = 1 / L_k(0)`, constant after a few batches.

    L_k(0) is the mean over the first batches that have labels of task k; until these are complete,
    it is the mean over those so far. Multiplying a loss by a constant changes nothing.

    Example:
        >>> weighting = InitialWeighting(2, batches=1)
        >>> for losses in ([4.0, 0.5], [2.0, 0.5]):
        ...     total = weighting([torch.tensor(value) for value in losses], [True, True])
        >>> weighting.current.tolist(), float(total)
        ([0.25, 2.0], 1.5)

    Note:
        The mean so far is used from the first batch on. A weight of 1 until the mean is complete
        would let the units of the losses decide the first steps.
    """

    def __init__(self, task_count: int, batches: int) -> None:
        super().__init__(task_count)
        self.initial = InitialLosses(task_count, batches)

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the inverse initial losses."""
        initial: Tensor = self.initial(self.values(losses, present))
        return 1 / initial.clamp(min=EPS)


@dataclass(frozen=True, kw_only=True)
class InitialOptions(WeightingOptions):
    """`weighting.name = "initial"`.

    Attributes:
        initial_batches: Number of first batches of each task that L(0) is the mean of.
    """

    name: Literal["initial"] = "initial"
    initial_batches: int = 10

    def __post_init__(self) -> None:
        require(self.initial_batches >= 1, "initial_batches", ">= 1", self.initial_batches)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return InitialWeighting(len(tasks), self.initial_batches)
