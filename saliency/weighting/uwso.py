"""Weights that are the softmax of inverse losses: uncertainty weighting at its optimum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.errors import require
from saliency.tasks import Task
from saliency.weighting.base import EPS, TaskWeighting, WeightingOptions


class SoftOptimalUncertaintyWeighting(TaskWeighting):
    """Computes the optimal weights of learned uncertainty, tempered by a softmax (UW-SO).

    `w_k = softmax_k(1 / (L_k T))`, with the losses as constants.

    Learned uncertainty is optimal at a weight of `1 / (2 L_k)`, which its log-variances approach
    with a delay (inertia) and which grows without bound as training photos are memorised. Here the
    optimum is used at once, and the softmax bounds it: the weights sum to 1, or to n/K with n of
    K tasks present. A high temperature T gives equal weights, a low one all weight to the task
    with the smallest loss; T has to be tuned.

    Example:
        >>> weighting = SoftOptimalUncertaintyWeighting(2, temperature=2.0)
        >>> total = weighting([torch.tensor(1.0), torch.tensor(0.5)], [True, True])
        >>> [round(float(w), 3) for w in weighting.current]  # softmax of 1/2 and 1
        [0.378, 0.622]

    Source:
        Kirchdorfer, Elich, Kutsche, Stuckenschmidt, Schott, Köhler, "Analytical uncertainty-based
        loss weighting in multi-task learning" (2024). n/K for absent tasks is this project's.
    """

    def __init__(self, task_count: int, temperature: float) -> None:
        super().__init__(task_count)
        self.temperature = temperature

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return weights whose sum over n present tasks is n/K."""
        inverse = 1 / (self.values(losses, present).clamp(min=EPS) * self.temperature)
        absent = inverse.isnan()
        weights = inverse.masked_fill(absent, -torch.inf).softmax(dim=0)
        return weights * (~absent).sum() / len(absent)


@dataclass(frozen=True, kw_only=True)
class UwsoOptions(WeightingOptions):
    """`weighting.name = "uwso"`.

    Attributes:
        temperature: Divisor of the inverse losses; higher is closer to equal weights.
    """

    name: Literal["uwso"] = "uwso"
    temperature: float = 50.0

    def __post_init__(self) -> None:
        require(self.temperature > 0, "temperature", "> 0", self.temperature)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return SoftOptimalUncertaintyWeighting(len(tasks), self.temperature)
