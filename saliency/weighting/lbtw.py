"""Weights from the fall of the losses within the epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.errors import require
from saliency.tasks import Task
from saliency.weighting.base import EPS, TaskWeighting, WeightingOptions


class LbtwWeighting(TaskWeighting):
    """Gives less weight to tasks whose loss has fallen far (loss-balanced task weighting).

    `w_k = (L_k / L_k(0))^alpha`, then rescaled to sum K

    L_k(0) is the loss of the epoch's first batch that has labels of task k. The exponent alpha says
    how strongly losses count: 0 gives equal weights.

    Example:
        >>> weighting = LbtwWeighting(2, alpha=0.5)
        >>> for losses in ([1.0, 1.0], [0.25, 1.0]):
        ...     total = weighting([torch.tensor(value) for value in losses], [True, True])
        >>> [round(float(w), 3) for w in weighting.current]
        [0.667, 1.333]

    Source:
        Liu, Liang, Gitter, "Loss-balanced task weighting to reduce negative transfer in multi-task
        learning" (2019), algorithm 1; the rescaling is in the authors' code. Over n present tasks
        the sum is n.
    """

    initial: Tensor

    def __init__(self, task_count: int, alpha: float) -> None:
        super().__init__(task_count)
        self.alpha = alpha
        self.register_buffer("initial", torch.full((task_count,), float("nan")))

    def end_epoch(self, mean_losses: Sequence[float]) -> None:
        """Forget the first losses of the epoch."""
        self.initial = torch.full_like(self.initial, float("nan"))

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return weights whose sum over present tasks is their number."""
        values = self.values(losses, present)
        self.initial = torch.where(self.initial.isnan(), values, self.initial)
        weights = (values.clamp(min=EPS) / self.initial.clamp(min=EPS)) ** self.alpha
        return weights / weights.nanmean()


@dataclass(frozen=True, kw_only=True)
class LbtwOptions(WeightingOptions):
    """`weighting.name = "lbtw"`.

    Attributes:
        alpha: How strongly losses count; 0 gives equal weights.
    """

    name: Literal["lbtw"] = "lbtw"
    alpha: float = 0.5

    def __post_init__(self) -> None:
        require(self.alpha >= 0, "alpha", ">= 0", self.alpha)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return LbtwWeighting(len(tasks), self.alpha)
