"""Homoscedastic uncertainty: a learned noise level for each task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from saliency.errors import require
from saliency.tasks import Likelihood, Task
from saliency.weighting.base import TaskWeighting, WeightingOptions

MINIMUM, MAXIMUM = -10.0, 5.0
"""Bounds of a log-variance; beyond them a weight would be close to 0 or extremely large."""


class UncertaintyWeighting(TaskWeighting):
    """Learns `s_k = log sigma_k^2` of each task and minimises the joint negative log-likelihood.

    regression:      `exp(-s) L / 2 + s / 2`, smallest at s = log L
    classification:  `exp(-s) L + s / 2`,     smallest at s = log 2L

    With `of_answers` the L above is `L_k + F_k`. The floor F_k is the scatter of people's single
    answers around the label that was made of them (`Task.floors`). Homoscedastic uncertainty is the
    noise that remains when all is learned. In a density of fixations or a distribution of votes
    this is people's disagreement, which the losses have subtracted: KL is the cross-entropy of an
    answer minus the answers' entropy, and the squared earth mover's distance is a vote's ranked
    probability score minus its expectation under the votes. Without the floor, L goes to 0 as the
    training photos are memorised, and the weight grows without bound; with it the weight stays
    below `1 / (2 F_k)`. The floor is a constant, so the network's gradient is that of L_k, with
    another weight. In terms of the temperature in `softmax(f / sigma^2)`: sigma can sharpen the
    network's answers only as far as people agree. Each labelled photo is one observation, and the
    likelihood of a batch is a product over them. So both terms of a task with n_k labelled photos
    count n_k times, divided by the mean n of the present tasks: L_k is a mean, which alone would
    let two rated photos speak as loudly as six with fixations. The bound of the weight is
    multiplied by the same share.

    A task without labels contributes neither its loss nor its `s / 2`; otherwise the second term
    alone would lower its `s` and raise its weight for as long as labels are missing. The
    optimiser's momentum does not move it either: `after_step` restores it. Each `s` starts at its
    optimum for the first loss of its task. A start at 0 would take long to reach the optimum of a
    loss of .01, and the task would hardly be trained meanwhile.

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

    def __init__(self, likelihoods: Sequence[Likelihood], *, of_answers: bool = False) -> None:
        """Start without a log-variance.

        Args:
            likelihoods: The form of each of K tasks.
            of_answers: Whether the noise includes the scatter of people's single answers, and
                tasks count by their labelled photos.
        """
        super().__init__(len(likelihoods), remember=False)  # log_variances determine the weights
        self.needs_answers = of_answers
        self._floors = [0.0] * len(likelihoods)
        self._counts = [1] * len(likelihoods)
        self.log_variances = nn.Parameter(torch.zeros(len(likelihoods)))
        # exp(-s) L / scale: 2 in the regression form, 1 in the classification form
        self.scales = [2.0 if likelihood == "regression" else 1.0 for likelihood in likelihoods]
        self.register_buffer("started", torch.zeros(len(likelihoods), dtype=torch.bool))
        # Since the last step: which tasks were present, and the log-variances before it.
        self._took_part: set[int] = set()
        self._before = self.log_variances.detach().clone()

    def optimal_log_variance(self, task: int, loss: float) -> float:
        """Return the s that minimises the total of `task` at this loss."""
        value = torch.tensor(max(loss, 1e-12) * 2 / self.scales[task]).log()
        return float(value.clamp(MINIMUM, MAXIMUM))

    def hear_answers(self, floors: Sequence[float], counts: Sequence[int]) -> None:
        """Keep how much people disagree in this batch, and about how many photos."""
        self._floors, self._counts = list(floors), list(counts)

    def forward(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the negative log-likelihood of the tasks that are present."""
        losses = [
            loss + floor if here else loss
            for loss, floor, here in zip(losses, self._floors, present, strict=True)
        ]
        with torch.no_grad():
            for task, (loss, is_present) in enumerate(zip(losses, present, strict=True)):
                if is_present and not self.started[task]:
                    self.log_variances[task] = self.optimal_log_variance(task, float(loss))
                    self.started[task] = True
            # An optimiser step may have left the bounds; a clamp in the graph would have no
            # gradient there and could not come back.
            self.log_variances.clamp_(MINIMUM, MAXIMUM)
            self._before = self.log_variances.detach().clone()
            self._took_part |= {task for task, is_present in enumerate(present) if is_present}
        counts = [
            count for count, is_present in zip(self._counts, present, strict=True) if is_present
        ]
        mean_count = sum(counts) / max(len(counts), 1)
        total = losses[0].new_zeros(())
        scales = self.log_variances.new_tensor(self.scales)
        self.current = torch.exp(-self.log_variances.detach()) / scales
        for task, (loss, is_present, scale) in enumerate(
            zip(losses, present, self.scales, strict=True)
        ):
            if is_present:
                s = self.log_variances[task]
                share = self._counts[task] / mean_count
                total = total + share * (torch.exp(-s) * loss / scale + s / 2)
                self.current[task] *= share
        return total

    @torch.no_grad()
    def after_step(self) -> None:
        """Restore the log-variances of absent tasks, which the optimiser's momentum moved."""
        absent = [k for k in range(len(self.log_variances)) if k not in self._took_part]
        self.log_variances[absent] = self._before[absent]
        self._took_part = set()


@dataclass(frozen=True, kw_only=True)
class UncertaintyOptions(WeightingOptions):
    """`weighting.name = "uncertainty"`.

    Attributes:
        noise: The noise whose variance is learned: `answers`, the rest of a task's loss and the
            scatter of people's single answers, with each task counted as often as it has labelled
            photos; or `residual`, the rest of the loss alone, which falls as training photos are
            memorised.
    """

    name: Literal["uncertainty"] = "uncertainty"
    noise: Literal["answers", "residual"] = "answers"

    def __post_init__(self) -> None:
        require(self.noise in ("answers", "residual"), "noise", "answers or residual", self.noise)

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy for `tasks`."""
        return UncertaintyWeighting(
            [task.likelihood for task in tasks], of_answers=self.noise == "answers"
        )
