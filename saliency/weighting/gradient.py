"""Weights from the size of the tasks' gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from saliency.tasks import Task
from saliency.weighting.base import EPS, Gradients, TaskWeighting, WeightingOptions


class GradientWeighting(TaskWeighting):
    """Makes the gradients of all tasks equally large: `w_k = 1 / sg(|| grad L_k ||)`.

    The norm is over all shared tensors together; sg is the stop-gradient operator. Neither a
    factor on a loss nor a constant added to it changes the result. A task's weight grows as the
    task converges.

    Cost besides the usual backward pass: a backward pass of each head (`features`, `last_layer`; a
    tenth of a step of the released network) or of the whole network (`parameters`; as much as a
    whole step).

    Example:
        >>> import torch
        >>> x = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> losses = [x.square().sum(), 0.5 * x[0] + 7]  # gradients (6, 8) and (.5, 0)
        >>> weighting = GradientWeighting(2, "features")
        >>> total = weighting(losses, [True, True], [x])
        >>> [round(float(w), 3) for w in weighting.current]
        [0.1, 2.0]
    """

    def __init__(self, task_count: int, needs: Gradients) -> None:
        super().__init__(task_count)
        self.needs = needs

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the inverse gradient norms."""
        norms = self.products(losses, present, shared).diagonal().sqrt()
        return 1 / norms.clamp(min=EPS)


@dataclass(frozen=True, kw_only=True)
class GradientOptions(WeightingOptions):
    """`weighting.name = "gradient"`.

    Attributes:
        shared: Where gradients are measured.
    """

    name: Literal["gradient"] = "gradient"
    shared: Gradients = "features"

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return GradientWeighting(len(tasks), self.shared)
