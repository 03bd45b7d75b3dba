"""Weights of the shortest convex combination of the tasks' gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.tasks import Task
from saliency.weighting.base import EPS, Gradients, TaskWeighting, WeightingOptions

Normalization = Literal["none", "l2", "loss", "loss+"]
"""Divisor of gradients: 1, their norm, the loss, or both."""

MAX_STEPS = 1000
TOLERANCE = 1e-6


class MgdaWeighting(TaskWeighting):
    """Steps in a direction in which no task gets worse (multiple gradient descent).

    `w = argmin || sum_k w_k g_k ||^2`, `w_k >= 0`, `sum_k w_k = 1`, `g_k = grad L_k`

    The shortest vector in the gradients' convex hull is 0 exactly where no direction improves all
    tasks (a Pareto-stationary point); elsewhere its negative improves all. Small gradients get
    large weights. The solution at the encoder's outputs (`features`) minimises an upper bound of
    the norm at the parameters, without a backward pass of the encoder (MGDA-UB).

    Cost: as for `gradient`; the solver works on a K x K matrix.

    Example:
        >>> x = torch.tensor([0.0, 0.0], requires_grad=True)
        >>> losses = [(x - torch.tensor([1.0, 0.0])).square().sum() / 2,
        ...           (x - torch.tensor([0.0, 2.0])).square().sum() / 2]
        >>> weighting = MgdaWeighting(2, "features", "none")
        >>> total = weighting(losses, [True, True], [x])
        >>> [round(float(w), 3) for w in weighting.current]
        [0.8, 0.2]

    Source:
        Sener, Koltun, "Multi-task learning as multi-objective optimization" (2018), algorithms 1
        and 2; Desideri, "Multiple-gradient descent algorithm" (2012). As in the authors' code, a
        normalisation only serves to find the weights, which then apply to the unnormalised losses;
        with `l2` and two tasks the weights are always equal.

    Note:
        If each image has one label, the tasks' gradients at `features` lie in different rows of
        the batch and are orthogonal by construction: `w_k ~ 1 / ||g_k||^2`, and conflicts show
        only at `last_layer` or `parameters`. The n present tasks' weights sum to n/K.
    """

    def __init__(self, task_count: int, needs: Gradients, normalization: Normalization) -> None:
        super().__init__(task_count)
        self.needs = needs
        self.normalization = normalization

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the shortest combination of the gradients of present tasks."""
        here = torch.tensor(present, device=self.current.device)
        products = self.products(losses, present, shared)[here][:, here]
        divisors = torch.ones_like(products.diagonal())
        if self.normalization in ("l2", "loss+"):
            divisors = divisors * products.diagonal().sqrt()
        if self.normalization in ("loss", "loss+"):
            divisors = divisors * self.values(losses, present)[here]
        divisors = divisors.clamp(min=EPS)
        weights = torch.zeros_like(self.current)
        found = shortest_combination(products / divisors.outer(divisors))
        weights[here] = found.to(weights) * len(found) / len(weights)
        return weights


def shortest_combination(products: Tensor) -> Tensor:
    """Return the convex combination of vectors whose sum is shortest.

    Frank-Wolfe with pairwise steps: weight moves from the vector that agrees most with the sum to
    the one that agrees least, as long as the sum gets shorter. For two vectors the first step ends
    at the closed form; for more, unlike steps towards one vertex, it does not zigzag.

    Args:
        products: (n, n) inner products of n vectors.

    Returns:
        (n,) float64 weights >= 0 that sum to 1, on the CPU.

    Source:
        Lacoste-Julien, Jaggi, "On the global linear convergence of Frank-Wolfe optimization
        variants" (2015), algorithm 2.
    """
    m = products.detach().double().cpu()
    w = torch.full((len(m),), 1 / len(m), dtype=torch.double)
    for _ in range(MAX_STEPS):
        agreement = m @ w
        least = agreement.argmin()
        most = torch.where(w > 0, agreement, -torch.inf).argmax()
        gain = agreement[most] - agreement[least]
        if gain <= TOLERANCE * m.diagonal().max():
            break
        curvature = m[most, most] + m[least, least] - 2 * m[most, least]
        step = (gain / curvature).clamp(max=w[most])
        w[most] -= step
        w[least] += step
    return w


@dataclass(frozen=True, kw_only=True)
class MgdaOptions(WeightingOptions):
    """`weighting.name = "mgda"`.

    Attributes:
        shared: Where gradients are measured.
        normalization: Divisor of the gradients when the weights are computed.
    """

    name: Literal["mgda"] = "mgda"
    shared: Gradients = "features"
    normalization: Normalization = "none"

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return MgdaWeighting(len(tasks), self.shared, self.normalization)
