"""Weights from the losses that training starts at."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saliency.weighting.base import EPS, TaskWeighting


class InitialLosses(nn.Module):
    """The running mean of each task's loss over the first batches that have it."""

    sums: Tensor
    counts: Tensor

    def __init__(self, task_count: int, batches: int) -> None:
        """Wait for the first batch.

        Args:
            task_count: K.
            batches: How many batches of each task enter its mean.
        """
        super().__init__()
        self.batches = batches
        self.register_buffer("sums", torch.zeros(task_count))
        self.register_buffer("counts", torch.zeros(task_count))

    def forward(self, values: Tensor) -> Tensor:
        """Take in (K,) losses, nan where absent; return (K,) means, nan where none was seen."""
        enters = values.isfinite() & (self.counts < self.batches)
        self.sums = self.sums + torch.where(enters, values, 0)
        self.counts = self.counts + enters
        return self.sums / self.counts


class InitialWeighting(TaskWeighting):
    """Weigh by where training started: `w_k = 1 / L_k(0)`, constant soon.

    L_k(0) is the mean over the first batches that have labels of task k; until they are complete,
    over those there were. Multiplying a loss by a constant changes nothing.

    Example:
        >>> weighting = InitialWeighting(2, batches=1)
        >>> for losses in ([4.0, 0.5], [2.0, 0.5]):
        ...     total = weighting([torch.tensor(value) for value in losses], [True, True])
        >>> weighting.current.tolist(), float(total)
        ([0.25, 2.0], 1.5)

    Note:
        What is known is used from the first batch on, rather than a weight of 1 until the mean is
        complete, which would leave the first steps to the units of the losses.
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
