"""Weights from how good the tasks are on validation images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saliency.weighting.base import TaskWeighting

MARGIN = 1e-3
"""How far an indicator stays from 0, whose logarithm is infinite, and from 1."""


class DtpWeighting(TaskWeighting):
    """Give more to what is not mastered yet (dynamic task prioritisation).

    `w_k = -(1 - kbar_k)^gamma_k log kbar_k`, `kbar <- a kappa + (1 - a) kbar`

    kappa is a key performance indicator of validation, 1 is perfect: CC of maps, SRCC of scores.
    Its moving average kbar enters between .001 and .999, for a correlation can be negative; so
    weights lie between 1e-3^(1 + gamma) and 6.91. The focusing exponent gamma takes from what is
    nearly mastered; 0 leaves the plain log. Weights are 1 until the first validation.

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
        The indicators come once a validation, not once a batch. SRCC stands for a score accuracy,
        which would need a cut between good and bad.
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
