"""Weights from the losses of the current batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from saliency.tasks import Task
from saliency.weighting.base import EPS, TaskWeighting, WeightingOptions


class RealtimeWeighting(TaskWeighting):
    """Weights from the current losses: `w_k = 1 / sg(L_k)`; sg is the stop-gradient operator.

    The gradient is that of `sum_k log L_k`, which is K times that of the log of the geometric
    mean. Multiplying a loss by a constant changes nothing. The returned scalar is always the number
    of present tasks; only its gradient is of use.

    Example:
        >>> import torch
        >>> losses = [torch.tensor(4.0, requires_grad=True), torch.tensor(0.5, requires_grad=True)]
        >>> RealtimeWeighting(2)(losses, [True, True]).backward()
        >>> [float(loss.grad) for loss in losses]
        [0.25, 2.0]

    Source:
        Chennupati et al., "MultiNet++: multi-stream feature aggregation and geometric loss
        strategy for multi-task learning" (2019), which multiplies the losses; a product of many
        small ones underflows, a sum of logs does not.
    """

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the inverse losses."""
        return 1 / self.values(losses, present).clamp(min=EPS)


@dataclass(frozen=True, kw_only=True)
class RealtimeOptions(WeightingOptions):
    """`weighting.name = "realtime"`, without further options."""

    name: Literal["realtime"] = "realtime"

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return RealtimeWeighting(len(tasks))
