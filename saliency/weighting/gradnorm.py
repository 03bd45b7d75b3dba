"""Learned weights that make all tasks train at similar rates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from saliency.errors import require
from saliency.tasks import Task
from saliency.weighting.base import EPS, Gradients, TaskWeighting, WeightingOptions
from saliency.weighting.initial import InitialLosses

MINIMUM = 1e-3
"""Lower bound of a weight before rescaling; with a negative weight a task would be unlearned."""


class GradNormWeighting(TaskWeighting):
    """Learns the weights so that gradient norms follow the tasks' training rates.

    minimise over w:  `sum_k | G_k - sg(mean_j G_j * r_k^alpha) |`

    `G_k = || grad_W (w_k L_k) ||` at W, the last layer that all tasks share; `r_k = (L_k / L_k(0))
    / mean_j (L_j / L_j(0))`, above 1 for a task that lags behind; alpha says how strongly such
    tasks are favoured; sg is the stop-gradient operator. L_k(0) is the mean over the task's first
    batches (in the paper only the first; batches here hold few rated images). After each step of
    the optimiser, in its group `weighting`, the weights are rescaled to sum K. The tasks' losses
    are weighted with constant copies of the weights, so that only the sum above trains w, and it
    trains nothing else.

    An absent task keeps its weight exactly (the optimiser's momentum is undone), and the present
    ones are rescaled to the sum that they had.

    Cost: G_k = w_k || grad_W L_k ||, so no gradient of a gradient is needed, only one backward
    pass of each head per step besides the usual one.

    Example:
        >>> x = torch.tensor([1.0], requires_grad=True)
        >>> weighting = GradNormWeighting(2, "last_layer", alpha=0.0, batches=1)
        >>> weighting([4 * x.sum(), x.sum()], [True, True], [x]).backward()
        >>> weighting.weights.grad.tolist()  # descent lowers the first weight, raises the second
        [4.0, -1.0]

    Source:
        Chen et al., "GradNorm: gradient normalization for adaptive loss balancing in deep
        multitask networks" (2018), equations 1 and 2, algorithm 1.
    """

    stepped: Tensor

    def __init__(self, task_count: int, needs: Gradients, alpha: float, batches: int) -> None:
        """Start with weights of 1.

        Args:
            task_count: K.
            needs: Where gradients are measured; the paper's W is `last_layer`.
            alpha: >= 0; the paper's values are 1.5 for a real problem, .12 for its toy one.
            batches: Number of first batches of each task that L_k(0) is the mean of.
        """
        super().__init__(task_count)
        self.needs = needs
        self.alpha = alpha
        self.weights = nn.Parameter(torch.ones(task_count))
        self.initial = InitialLosses(task_count, batches)
        # The tasks that are present in the next step of the optimiser.
        self.register_buffer("stepped", torch.zeros(task_count, dtype=torch.bool))

    def forward(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the weighted sum plus the term that trains the weights."""
        self.after_step()  # in case the optimiser was stepped without this call
        total = super().forward(losses, present, shared)
        if not any(present):
            return total
        here = torch.tensor(present, device=self.current.device)
        with torch.no_grad():
            self.stepped = self.stepped | here
            norms = self.products(losses, present, shared).diagonal().sqrt()[here]
            values = self.values(losses, present)
            progress = (values / self.initial(values).clamp(min=EPS))[here]
            rates = progress / progress.mean().clamp(min=EPS)
            targets = (norms * self.weights[here]).mean() * rates**self.alpha
        own: Tensor = (norms * self.weights[here] - targets).abs().sum()
        return total + own

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return the current weights."""
        return self.weights.detach().clone()

    @torch.no_grad()
    def after_step(self) -> None:
        """Rescale the weights if the optimiser has changed them; undo changes for absent tasks."""
        before = self.current
        if torch.equal(self.weights, before):
            return
        moved = self.weights.clamp(min=MINIMUM)
        took_part = self.stepped
        moved = moved * before[took_part].sum() / moved[took_part].sum()
        self.weights.copy_(torch.where(took_part, moved, before))
        self.current = self.weights.detach().clone()
        self.stepped = torch.zeros_like(took_part)


@dataclass(frozen=True, kw_only=True)
class GradNormOptions(WeightingOptions):
    """`weighting.name = "gradnorm"`.

    Attributes:
        shared: Where gradients are measured.
        alpha: How strongly tasks that lag behind are favoured.
        initial_batches: Number of first batches of each task that L(0) is the mean of.
    """

    name: Literal["gradnorm"] = "gradnorm"
    shared: Gradients = "last_layer"
    alpha: float = 1.5
    initial_batches: int = 10

    def __post_init__(self) -> None:
        require(self.alpha >= 0, "alpha", ">= 0", self.alpha)
        require(self.initial_batches >= 1, "initial_batches", ">= 1", self.initial_batches)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return GradNormWeighting(len(tasks), self.shared, self.alpha, self.initial_batches)
