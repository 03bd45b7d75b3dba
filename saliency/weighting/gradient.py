"""Weights from the size of the tasks' gradients."""

from collections.abc import Sequence

from torch import Tensor

from saliency.weighting.base import EPS, Shared, TaskWeighting


class GradientWeighting(TaskWeighting):
    """Let every task pull equally hard: `w_k = 1 / sg(|| grad L_k ||)`.

    The norm is over all shared tensors together, sg = stop gradient. Neither a factor nor a
    constant added to a loss changes anything. Weights grow as a task converges.

    Cost beside the usual backward pass: one of each head (`features`, `last_layer`; a tenth of a
    step of the released network) or of everything (`parameters`; as much as a whole step).

    Example:
        >>> import torch
        >>> x = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> losses = [x.square().sum(), 0.5 * x[0] + 7]  # gradients (6, 8) and (.5, 0)
        >>> weighting = GradientWeighting(2, "features")
        >>> total = weighting(losses, [True, True], [x])
        >>> [round(float(w), 3) for w in weighting.current]
        [0.1, 2.0]
    """

    def __init__(self, task_count: int, needs: Shared) -> None:
        super().__init__(task_count)
        self.needs = needs

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the inverse gradient norms."""
        norms = self.products(losses, present, shared).diagonal().sqrt()
        return 1 / norms.clamp(min=EPS)
