"""Homoscedastic uncertainty: a learned noise level a task."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saliency.tasks import Likelihood
from saliency.weighting.base import TaskWeighting

MINIMUM, MAXIMUM = -10.0, 5.0
"""Bounds of a log-variance; beyond them a weight is 0 or everything."""


class UncertaintyWeighting(TaskWeighting):
    """Learn `s_k = log sigma_k^2` of each task and minimise the joint negative log-likelihood.

    regression:      `exp(-s) L / 2 + s / 2`, smallest at s = log L
    classification:  `exp(-s) L + s / 2`,     smallest at s = log 2L

    A task without labels contributes neither its loss nor its `s / 2`; otherwise the second term
    alone would pull its `s` down and its weight up for as long as labels are missing. Each `s`
    starts at its optimum for the first loss that its task shows, because a start at 0 takes long
    to reach the optimum of a loss of .01 and starves that task meanwhile.

    Example:
        >>> weighting = UncertaintyWeighting(["classification", "regression"])
        >>> total = weighting([torch.tensor(1.0), torch.tensor(0.01)], [True, True])
        >>> [round(float(w), 3) for w in weighting.current]
        [0.5, 50.0]

    Source:
        Kendall, Gal, Cipolla, "Multi-task learning using uncertainty to weigh losses for scene
        geometry and semantics" (2018), equations 7 and 10.
    """

    started: Tensor

    def __init__(self, likelihoods: Sequence[Likelihood]) -> None:
        super().__init__(len(likelihoods), remember=False)  # log_variances give the weights
        self.log_variances = nn.Parameter(torch.zeros(len(likelihoods)))
        # exp(-s) L / scale: 2 in the regression form, 1 in the classification form
        self.scales = [2.0 if likelihood == "regression" else 1.0 for likelihood in likelihoods]
        self.register_buffer("started", torch.zeros(len(likelihoods), dtype=torch.bool))

    def optimal_log_variance(self, task: int, loss: float) -> float:
        """Return the s at which `task` with this loss has its smallest total."""
        value = torch.tensor(max(loss, 1e-12) * 2 / self.scales[task]).log()
        return float(value.clamp(MINIMUM, MAXIMUM))

    def forward(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the negative log-likelihood of the tasks that are present."""
        with torch.no_grad():
            for task, (loss, here, _) in enumerate(zip(losses, present, self.scales, strict=True)):
                if here and not self.started[task]:
                    self.log_variances[task] = self.optimal_log_variance(task, float(loss))
                    self.started[task] = True
            # An optimiser step may have left the bounds; a clamp in the graph would have no
            # gradient there and could not come back.
            self.log_variances.clamp_(MINIMUM, MAXIMUM)
        total = losses[0].new_zeros(())
        for task, (loss, here, scale) in enumerate(zip(losses, present, self.scales, strict=True)):
            if here:
                s = self.log_variances[task]
                total = total + torch.exp(-s) * loss / scale + s / 2
        scales = self.log_variances.new_tensor(self.scales)
        self.current = torch.exp(-self.log_variances.detach()) / scales
        return total
