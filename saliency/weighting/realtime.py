"""Weights from the losses of this very batch."""

from collections.abc import Sequence

from torch import Tensor

from saliency.weighting.base import EPS, TaskWeighting


class RealtimeWeighting(TaskWeighting):
    """Weigh by the loss itself: `w_k = 1 / sg(L_k)`, sg = stop gradient.

    The gradient is that of `sum_k log L_k`, which is K times that of the log of the geometric
    mean. Multiplying a loss by a constant changes nothing. The scalar returned is the number of
    present tasks; what it says is in its gradient alone.

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
