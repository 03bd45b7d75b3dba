"""Problems whose losses, gradients and Pareto set are known."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor


class Quadratics:
    """`L_k = a_k / 2 ||x - c_k||^2 + b_k`, gradient `a_k (x - c_k)`; x starts at 0.

    With two tasks the Pareto set is the line between the centres.
    """

    def __init__(
        self,
        centers: Sequence[Sequence[float]] = ((3.0, 4.0), (0.0, -1.0)),
        factors: Sequence[float] = (2.0, 0.5),
        shifts: Sequence[float] | None = None,
    ) -> None:
        self.centers = [torch.tensor(center) for center in centers]
        self.factors = list(factors)
        self.shifts = list(shifts or [0.0] * len(self.factors))
        self.x = torch.zeros(len(centers[0]), requires_grad=True)
        self.shared = [self.x]
        self.present = [True] * len(self.factors)

    def losses(self) -> list[Tensor]:
        return [
            factor / 2 * (self.x - center).square().sum() + shift
            for center, factor, shift in zip(self.centers, self.factors, self.shifts, strict=True)
        ]

    def gradient(self, weighting: torch.nn.Module) -> Tensor:
        """Return the gradient at x of what `weighting` makes of the losses."""
        total = weighting(self.losses(), self.present, self.shared)
        return torch.autograd.grad(total, self.x)[0]


@pytest.fixture
def quadratics() -> type[Quadratics]:
    """Two by default: gradients (-6, -8) and (0, .5), losses 25 and .25."""
    return Quadratics


@pytest.fixture
def problem() -> Quadratics:
    return Quadratics()
