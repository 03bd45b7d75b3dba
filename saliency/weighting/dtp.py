"""Weights from the tasks' performance on validation images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.errors import require
from saliency.tasks import Task
from saliency.weighting.base import TaskWeighting, WeightingOptions, of_each_task

MARGIN = 1e-3
"""Smallest distance of an indicator from 0, whose logarithm is infinite, and from 1."""


class DtpWeighting(TaskWeighting):
    """Gives more weight to tasks that are not mastered yet (dynamic task prioritisation).

    `w_k = -(1 - kbar_k)^gamma_k log kbar_k`, `kbar <- a kappa + (1 - a) kbar`

    kappa is a key performance indicator of validation, 1 is perfect: CC of maps, SRCC of scores.
    Its moving average kbar is clipped to .001 .. .999, since a correlation can be negative; so
    weights lie between 1e-3^(1 + gamma) and 6.91. The focusing exponent gamma reduces the weight
    of tasks that are nearly mastered; 0 leaves the plain log. Weights are 1 until the first
    validation.

    Example:
        >>> weighting = DtpWeighting([1.0, 1.0], smoothing=0.5)
        >>> weighting.observe([0.8, 0.4])
        >>> total = weighting([torch.tensor(1.0), torch.tensor(1.0)], [True, True])
        >>> [round(float(w), 3) for w in weighting.current]
        [0.045, 0.55]

    Source:
        Guo et al., "Dynamic task prioritization for multitask learning" (2018), section 3.2. Their
        weighting of single examples within a task is left out.

    Note:
        The indicators come once per validation, not once per batch. For scores SRCC replaces an
        accuracy, which would need a threshold between good and bad.
    """

    average: Tensor

    def __init__(self, gammas: Sequence[float], smoothing: float) -> None:
        """Wait for the first validation.

        Args:
            gammas: K focusing exponents >= 0.
            smoothing: Share of the newest indicator in the average, 0 < a <= 1.
        """
        super().__init__(len(gammas))
        self.gammas = tuple(gammas)
        self.smoothing = smoothing
        self.register_buffer("average", torch.full((len(gammas),), float("nan")))

    def observe(self, indicators: Sequence[float]) -> None:
        """Move the averages of the tasks whose indicator is known."""
        now = torch.tensor(list(indicators)).to(self.average)
        before = torch.where(self.average.isnan(), now, self.average)
        moved = self.smoothing * now + (1 - self.smoothing) * before
        self.average = torch.where(now.isnan(), self.average, moved)

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the weights of the last validation."""
        average = self.average.clamp(MARGIN, 1 - MARGIN)
        weights = -((1 - average) ** average.new_tensor(self.gammas)) * average.log()
        return weights.nan_to_num(nan=1.0)


@dataclass(frozen=True, kw_only=True)
class DtpOptions(WeightingOptions):
    """`weighting.name = "dtp"`; the paper gives no values.

    Attributes:
        gamma: Focus on tasks that are not mastered, >= 0: one number, or one for each task.
        smoothing: Share of the newest validation in the average, 0 < a <= 1.
    """

    name: Literal["dtp"] = "dtp"
    gamma: float | Mapping[str, float] = 1.0
    smoothing: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.smoothing <= 1, "smoothing", "> 0 and <= 1", self.smoothing)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        gamma = self.gamma
        by_task = gamma if isinstance(gamma, Mapping) else {task.name: gamma for task in tasks}
        return DtpWeighting(of_each_task("gamma", by_task, tasks), self.smoothing)
