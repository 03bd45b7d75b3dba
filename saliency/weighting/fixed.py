"""Weights given by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saliency.weighting.base import TaskWeighting


class FixedWeighting(TaskWeighting):
    """Minimise `sum_k w_k L_k` with constant weights.

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
        """Return the weights as they were given."""
        return self.current
