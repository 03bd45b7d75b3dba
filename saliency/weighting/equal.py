"""The plain mean of the losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from saliency.tasks import Task
from saliency.weighting.base import TaskWeighting, WeightingOptions
from saliency.weighting.fixed import FixedWeighting


class EqualWeighting(FixedWeighting):
    """Minimises `1/K sum_k L_k`, the baseline that every other strategy has to beat.

    Example:
        >>> import torch
        >>> weighting = EqualWeighting(2)
        >>> float(weighting([torch.tensor(2.0), torch.tensor(4.0)], [True, True]))
        3.0

    Source:
        Kurin et al., "In defense of the unitary scalarization for deep multi-task learning"
        (2022).
    """

    def __init__(self, task_count: int) -> None:
        super().__init__([1 / task_count] * task_count)


@dataclass(frozen=True, kw_only=True)
class EqualOptions(WeightingOptions):
    """`weighting.name = "equal"`, without further options."""

    name: Literal["equal"] = "equal"

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return EqualWeighting(len(tasks))
