"""Weights from the fall of the losses over the last epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.errors import require
from saliency.tasks import Task
from saliency.weighting.base import EPS, TaskWeighting, WeightingOptions


class DwaWeighting(TaskWeighting):
    """Gives more weight to tasks whose loss falls slowly (dynamic weight average).

    `w = K softmax(r / T)`, `r_k = L_k(t-1) / L_k(t-2)`

    L_k(t-1) is task k's mean training loss over the last epoch, L_k(t-2) over the one before; over
    the first two epochs r = 1 and all weights are 1. The temperature T makes weights more even.
    An epoch without labels of a task is skipped in its history.

    Example:
        >>> weighting = DwaWeighting(2, temperature=2.0)
        >>> weighting.end_epoch([1.0, 1.0])
        >>> weighting.end_epoch([0.5, 1.0])  # the first task halved, the second stood still
        >>> total = weighting([torch.tensor(0.5), torch.tensor(1.0)], [True, True])
        >>> [round(float(w), 3) for w in weighting.current]
        [0.876, 1.124]

    Source:
        Liu, Johns, Davison, "End-to-end multi-task learning with attention" (2019), equation 7.
    """

    last: Tensor
    before: Tensor

    def __init__(self, task_count: int, temperature: float) -> None:
        super().__init__(task_count)
        self.temperature = temperature
        unknown = torch.full((task_count,), float("nan"))
        self.register_buffer("last", unknown)
        self.register_buffer("before", unknown.clone())

    def end_epoch(self, mean_losses: Sequence[float]) -> None:
        """Add an epoch to the history of the tasks that had labels in it."""
        now = torch.tensor(list(mean_losses)).to(self.last)
        known = now.isfinite()
        self.before = torch.where(known, self.last, self.before)
        self.last = torch.where(known, now, self.last)

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return weights that sum to K."""
        ratios = (self.last / self.before.clamp(min=EPS)).nan_to_num(nan=1.0)
        return len(ratios) * (ratios / self.temperature).softmax(dim=0)


@dataclass(frozen=True, kw_only=True)
class DwaOptions(WeightingOptions):
    """`weighting.name = "dwa"`.

    Attributes:
        temperature: A higher temperature makes weights more even; the paper uses 2.
    """

    name: Literal["dwa"] = "dwa"
    temperature: float = 2.0

    def __post_init__(self) -> None:
        require(self.temperature > 0, "temperature", "> 0", self.temperature)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return DwaWeighting(len(tasks), self.temperature)
