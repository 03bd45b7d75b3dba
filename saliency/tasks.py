"""What can be learned: a task picks its part of the output, its labels and its loss.

The training loop, the weighting strategies and the sharing schemes see only the list of tasks.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency.attributes import Attribute
from saliency.losses import attenuated_loss, saliency_loss, squared_emd_loss
from saliency.types import LOWEST_LOG_VARIANCE, SCORES, TOP_LOG_VARIANCE, Batch, Output

Likelihood = Literal["regression", "classification"]
"""Which of the two uncertainty forms of Kendall et al. the loss stands for."""


class Task(Protocol):
    """One thing to learn.

    Attributes:
        name: Key in logs and configs.
        likelihood: `regression` for squared errors, `classification` for cross-entropies.
        indicator: The metric of `evaluate`, 1 is perfect, that tells how good the task is.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def likelihood(self) -> Likelihood: ...  # noqa: D102

    @property
    def indicator(self) -> str: ...  # noqa: D102

    def present(self, batch: Batch) -> Tensor:
        """Return (B,) bool: which images have this task's label."""

    def losses(self, output: Output, batch: Batch) -> Tensor:
        """Return (B,) losses >= 0; rows without a label hold anything finite."""


class SaliencyTask:
    """Predict the density of fixations; a softmax over pixels, so the classification form."""

    name = "saliency"
    likelihood: Likelihood = "classification"
    indicator = "CC"

    def __init__(self, auxiliary_weight: float = 0.0) -> None:
        self.auxiliary_weight = auxiliary_weight

    def present(self, batch: Batch) -> Tensor:
        """Return (B,) bool: which images have fixations."""
        return batch.has_saliency

    def losses(self, output: Output, batch: Batch) -> Tensor:
        """Return (B,) KL + 1 - CC, plus the weighted mean of it over auxiliary outputs."""
        if output.log_density is None:
            raise ValueError("`output` should hold a log_density. Found a network without it.")
        losses = saliency_loss(output.log_density, batch.density)
        if output.auxiliary_log_densities and self.auxiliary_weight:
            share = self.auxiliary_weight / len(output.auxiliary_log_densities)
            for log_density in output.auxiliary_log_densities:
                losses = losses + share * saliency_loss(log_density, batch.density)
        return losses


class AestheticTask:
    """Predict the distribution of raters' scores; a squared error, so the regression form."""

    name = "aesthetics"
    likelihood: Likelihood = "regression"
    indicator = "SRCC"

    def present(self, batch: Batch) -> Tensor:
        """Return (B,) bool: which images have ratings."""
        return batch.has_rating

    def losses(self, output: Output, batch: Batch) -> Tensor:
        """Return (B,) squared earth mover's distances."""
        if output.score_logits is None:
            raise ValueError("`output` should hold score_logits. Found a network without them.")
        return squared_emd_loss(output.score_logits, batch.score_distribution)


def score_error_losses(output: Output, batch: Batch) -> Tensor:
    """Return (B,) losses >= 0 of what is stated of the mean score's error, in points.

    Their gradient reaches what states the error alone, so they belong to no task and have no
    weight; rows without ratings hold anything finite.
    """
    if output.score_log_variance is None or output.score_logits is None:
        raise ValueError("`output` should hold a score_log_variance. Found a network without it.")
    scores = torch.from_numpy(SCORES).to(output.score_logits)
    shares = output.score_logits.detach().float().softmax(dim=1)
    off = (shares - batch.score_distribution) @ scores.float()
    return attenuated_loss(off.square(), output.score_log_variance)


class AttributeTask:
    """Predict an attribute of the whole photo: squared error on a scale, cross-entropy of classes.

    The first is the regression form of uncertainty weighting, the second the classification form.
    Where the network states its errors, squared errors are attenuated by them.
    """

    def __init__(self, number: int, attribute: Attribute, *, heteroscedastic: bool = False) -> None:
        """Be the task of the attribute that stands at `number` in batches and outputs.

        Args:
            number: Counted from 0.
            attribute: What is told.
            heteroscedastic: Whether the network states its errors.
        """
        self._number = number
        self._states_error = heteroscedastic and not attribute.classes
        self._classes = len(attribute.classes)
        self.name = attribute.name
        self.likelihood: Likelihood = "classification" if attribute.classes else "regression"
        self.indicator = f"{attribute.name} {'accuracy' if attribute.classes else 'SRCC'}"

    def present(self, batch: Batch) -> Tensor:
        """Return (B,) bool: for which images it is known."""
        if batch.attributes.shape[1] <= self._number:
            return torch.zeros_like(batch.has_rating)
        return ~batch.attributes[:, self._number].isnan()

    def constant(self, labels: Tensor) -> Tensor:
        """Return the best output that is the same for all: the mean, or logits of frequencies.

        Args:
            labels: (N, A) of all attributes, nan where unknown; at least one of this is known.
        """
        known = labels[:, self._number]
        known = known[~known.isnan()]
        if not self._classes:
            return known.mean()
        counts = torch.bincount(known.long(), minlength=self._classes)
        return (counts / counts.sum()).clamp(min=1e-12).log()

    def constant_log_variance(self, labels: Tensor) -> Tensor | None:
        """Return the best statement of that constant's error; None where none is made.

        Args:
            labels: As for `constant`.
        """
        if not self._states_error:
            return None
        known = labels[:, self._number]
        variance = known[~known.isnan()].var(correction=0)
        return variance.clamp(min=1e-12).log().clamp(LOWEST_LOG_VARIANCE, TOP_LOG_VARIANCE)

    def losses(self, output: Output, batch: Batch) -> Tensor:
        """Return (B,) squared errors on 0..1, attenuated or not, or cross-entropies in nats."""
        if len(output.attributes) <= self._number:
            raise ValueError(
                f"`output` should hold the attribute {self.name!r}. Found "
                f"{len(output.attributes)} attributes."
            )
        predicted = output.attributes[self._number].float()
        labels = batch.attributes[:, self._number].nan_to_num()
        if self._classes:
            return F.cross_entropy(predicted, labels.long(), reduction="none")
        squared = (predicted - labels).square()
        if not self._states_error:
            return squared
        errors = output.attribute_log_variances
        log_variance = errors[self._number] if len(errors) > self._number else None
        if log_variance is None:
            raise ValueError(
                f"`output` should state the error of the attribute {self.name!r}. Found a network "
                "without heteroscedastic."
            )
        return attenuated_loss(squared, log_variance)


def count_labels(tasks: Sequence[Task], batches: Sequence[Batch]) -> Tensor:
    """Return (K,) int64: how many images have each task's label."""
    counts = torch.zeros(len(tasks), dtype=torch.int64)
    for batch in batches:
        counts += torch.stack([task.present(batch).sum() for task in tasks])
    return counts


def mean_task_losses(
    tasks: tuple[Task, ...],
    output: Output,
    batch: Batch,
    counts: Sequence[int] | None = None,
) -> tuple[list[Tensor], list[bool]]:
    """Return each task's mean loss over its labelled images, and whether it has any.

    Args:
        tasks: K tasks.
        output: The network's of `batch`.
        batch: The images, or a part of those that a mean is over.
        counts: K numbers of labelled images that a mean is over, if `batch` is a part of them;
            the means of the parts then add up to that of the whole.

    Returns:
        K scalars (0 without a gradient for a task that is absent) and K flags.
    """
    losses, present = [], []
    for k, task in enumerate(tasks):
        mask = task.present(batch)
        here = bool(mask.any())
        present.append(here)
        if here:
            labelled = task.losses(output, batch)[mask]
            losses.append(labelled.sum() / (counts[k] if counts else len(labelled)))
        else:
            losses.append(batch.density.new_zeros(()))
    return losses, present
