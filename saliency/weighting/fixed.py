"""Constant weights from the recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from saliency.tasks import Task
from saliency.weighting.base import TaskWeighting, WeightingOptions, of_each_task


class FixedWeighting(TaskWeighting):
    """Minimises `sum_k w_k L_k` with constant weights.

    Example:
        >>> weighting = FixedWeighting([1.0, 10.0])
        >>> float(weighting([torch.tensor(2.0), torch.tensor(3.0)], [True, True]))
        32.0
    """

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__(len(weights), remember=False)
        self.current = torch.tensor(weights, dtype=torch.float32)

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the given weights."""
        return self.current


@dataclass(frozen=True, kw_only=True)
class FixedOptions(WeightingOptions):
    """`weighting.name = "fixed"`.

    Attributes:
        weights: Weight >= 0 of each task, by its name.
    """

    name: Literal["fixed"] = "fixed"
    weights: Mapping[str, float] = field(default_factory=dict)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return FixedWeighting(of_each_task("weights", self.weights, tasks))
