"""Weights from the losses of a constant prediction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.errors import ConfigError
from saliency.tasks import Task
from saliency.weighting.base import EPS, TaskWeighting, WeightingOptions


class PriorWeighting(TaskWeighting):
    """Weights from the losses of the best constant prediction: `w_k = 1 / L_k(prior)`.

    L_k(prior) is task k's loss at the best constant prediction: for a cross-entropy the entropy of
    the label frequencies, for a squared error the variance of the labels. With these weights each
    loss starts near 1 and is the share of the prior's loss that is left. Unlike L_k(0), it depends
    neither on the random start nor on the first batches.

    Example:
        >>> weighting = PriorWeighting(2)
        >>> weighting.start(lambda: [2.0, 0.05])
        >>> total = weighting([torch.tensor(1.0), torch.tensor(0.025)], [True, True])
        >>> [round(float(w), 3) for w in weighting.current], round(float(total), 3)
        ([0.5, 20.0], 1.0)

    Note:
        For maps and score distributions training measures the losses at the mean density and the
        mean distribution of training images. These are close to the best constants, and no formula
        for each loss is needed.
    """

    constant_losses: Tensor

    def __init__(self, task_count: int) -> None:
        super().__init__(task_count)
        self.register_buffer("constant_losses", torch.full((task_count,), float("nan")))

    def start(self, constant_losses: Callable[[], Sequence[float]]) -> None:
        """Measure the losses of constant predictions.

        Raises:
            ConfigError: A loss is not > 0, as it is if all labels of a task are the same.
        """
        found = list(constant_losses())
        if not all(value > 0 for value in found):
            raise ConfigError(
                "`weighting.name` = 'prior' needs labels that differ, so that a constant has a "
                f"loss > 0. Found the losses {found}."
            )
        self.constant_losses = torch.tensor(found).to(self.constant_losses)

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the inverse losses of constant predictions; 1 before `start`."""
        weights = 1 / self.constant_losses.clamp(min=EPS)
        return weights.nan_to_num(nan=1.0)


@dataclass(frozen=True, kw_only=True)
class PriorOptions(WeightingOptions):
    """`weighting.name = "prior"`, without further options."""

    name: Literal["prior"] = "prior"

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return PriorWeighting(len(tasks))
