"""The tasks: each picks its part of the network's output, its labels and its loss.

The training loop, the weighting strategies and the sharing schemes see only the list of tasks.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency.attributes import Attribute
from saliency.losses import (
    attenuated_loss,
    order_loss,
    saliency_loss,
    squared_emd_loss,
    vote_divergence,
)
from saliency.types import LOWEST_LOG_VARIANCE, SCORES, TOP_LOG_VARIANCE, Batch, Output

Likelihood = Literal["regression", "classification"]
"""Which of the two uncertainty forms of Kendall et al. the loss stands for."""

ScoreLoss = Literal["emd", "likelihood"]
"""Loss between predicted score distributions and votes: the squared earth mover's distance, or the
divergence that remains of the votes' likelihood."""

VOTE_VARIANCE = 4.65
"""Variance of raters' votes about their mean, in squared points; the mean over the training photos
of OASIS."""


class Task(Protocol):
    """A task that the network learns.

    Attributes:
        name: Key in logs and configs.
        likelihood: `regression` for squared errors, `classification` for cross-entropies.
        indicator: The metric of `evaluate` that measures the task; 1 is perfect.
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
        """Return (B,) losses >= 0; rows without a label hold any finite number."""

    def floors(self, batch: Batch) -> Tensor:
        """Return (B,) floors >= 0: the mean loss of single answers at a perfect prediction.

        A label summarises the answers of several people, and the loss measures the distance to that
        summary. The loss plus the floor is the mean loss of the single answers. The floor is 0 if
        a label does not summarise answers.
        """


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

    def floors(self, batch: Batch) -> Tensor:
        """Return (B,) entropies of the fixations' densities, in nats per fixation.

        KL plus this is the cross-entropy of a fixation. `1 - CC` has no floor; the floor of
        auxiliary outputs is left out.
        """
        density = batch.density.flatten(1)
        return -torch.xlogy(density, density).sum(dim=1)


class AestheticTask:
    """Predict the distribution of raters' scores.

    The loss is the squared earth mover's distance, a squared error and so the regression form, or
    the likelihood of the votes, the classification form.
    """

    name = "aesthetics"
    indicator = "SRCC"

    def __init__(self, loss: ScoreLoss = "emd") -> None:
        self._loss = loss
        self.likelihood: Likelihood = "regression" if loss == "emd" else "classification"

    def present(self, batch: Batch) -> Tensor:
        """Return (B,) bool: which images have ratings."""
        return batch.has_rating

    def losses(self, output: Output, batch: Batch) -> Tensor:
        """Return (B,) squared earth mover's distances, or divergences in nats."""
        if output.score_logits is None:
            raise ValueError("`output` should hold score_logits. Found a network without them.")
        measure = squared_emd_loss if self._loss == "emd" else vote_divergence
        return measure(output.score_logits, batch.score_distribution)

    def floors(self, batch: Batch) -> Tensor:
        """Return (B,) expected losses of a vote if the votes' distribution is predicted.

        For the earth mover's distance it is the mean of `Q (1 - Q)` over the bins of the cumulative
        distribution Q: by so much the squared distance to a single vote exceeds that to all votes.
        For the likelihood it is the entropy of the votes, in nats.
        """
        votes = batch.score_distribution
        if self._loss == "emd":
            cumulative = votes.cumsum(dim=1)
            return (cumulative * (1 - cumulative)).clamp(min=0).mean(dim=1)
        return -torch.xlogy(votes, votes).sum(dim=1)


class OrderTask:
    """Score a spoilt copy of a photo lower than the photo; a squared error, the regression form.

    Copies need no raters: it is known that a blurred copy is worse. They also teach the scores to
    tell damage from content, since a photo and its copies show the same.
    """

    name = "order"
    likelihood: Likelihood = "regression"
    indicator = "order"

    def present(self, batch: Batch) -> Tensor:
        """Return (B,) bool: which images are spoilt copies."""
        return batch.distortion >= 0

    def losses(self, output: Output, batch: Batch) -> Tensor:
        """Return (B,) squared shortfalls of the margins, see `order_loss`."""
        if output.score_logits is None:
            raise ValueError("`output` should hold score_logits. Found a network without them.")
        scores = output.score_logits.float().softmax(dim=1) @ torch.from_numpy(SCORES).to(
            output.score_logits.device, torch.float32
        )
        return order_loss(scores, batch.photo, batch.distortion, batch.margin)

    def floors(self, batch: Batch) -> Tensor:
        """Return (B,) copies of the variance of the difference of two votes, in squared scales.

        If one person rates the photo and another one the copy, their difference scatters around
        the margin with this variance.
        """
        variance = 2 * VOTE_VARIANCE / (len(SCORES) - 1) ** 2
        return torch.full_like(batch.margin, variance)


def score_error_losses(output: Output, batch: Batch) -> Tensor:
    """Return (B,) losses >= 0 of the stated errors of mean scores, in points.

    Their gradient reaches only the layers that state the error, so they belong to no task and have
    no weight; rows without ratings hold any finite number.
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
    If the network states its errors, squared errors are attenuated by them.
    """

    def __init__(self, number: int, attribute: Attribute, *, heteroscedastic: bool = False) -> None:
        """Build the task of the attribute with the index `number` in batches and outputs.

        Args:
            number: Index of the attribute, counted from 0.
            attribute: The attribute.
            heteroscedastic: Whether the network states its errors.
        """
        self._number = number
        self._states_error = heteroscedastic and not attribute.classes
        self._classes = len(attribute.classes)
        self.name = attribute.name
        self.likelihood: Likelihood = "classification" if attribute.classes else "regression"
        self.indicator = f"{attribute.name} {'accuracy' if attribute.classes else 'SRCC'}"

    def present(self, batch: Batch) -> Tensor:
        """Return (B,) bool: which images have a label of the attribute."""
        if batch.attributes.shape[1] <= self._number:
            return torch.zeros_like(batch.has_rating)
        return ~batch.attributes[:, self._number].isnan()

    def constant(self, labels: Tensor) -> Tensor:
        """Return the best constant output: the mean, or logits of the classes' frequencies.

        Args:
            labels: (N, A) labels of all attributes, nan if unknown; at least one label of this
                attribute is known.
        """
        known = labels[:, self._number]
        known = known[~known.isnan()]
        if not self._classes:
            return known.mean()
        counts = torch.bincount(known.long(), minlength=self._classes)
        return (counts / counts.sum()).clamp(min=1e-12).log()

    def constant_log_variance(self, labels: Tensor) -> Tensor | None:
        """Return the best stated log-variance for the constant; None if errors are not stated.

        Args:
            labels: (N, A) labels, as for `constant`.
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

    def floors(self, batch: Batch) -> Tensor:
        """Return (B,) zeros, since the scatter of the answers behind a label is not known."""
        return torch.zeros_like(batch.margin)


def count_labels(tasks: Sequence[Task], batches: Sequence[Batch]) -> Tensor:
    """Return (K,) int64: how many images have each task's label."""
    counts = torch.zeros(len(tasks), dtype=torch.int64)
    for batch in batches:
        counts += torch.stack([task.present(batch).sum() for task in tasks]).cpu()
    return counts


def mean_floors(
    tasks: Sequence[Task], batches: Sequence[Batch], counts: Sequence[int]
) -> list[Tensor]:
    """Return the share of these images in each task's mean floor.

    Args:
        tasks: K tasks.
        batches: All images of the mean, or a part of them.
        counts: K numbers of labelled images in the mean.

    Returns:
        K scalars, 0 for a task that is absent; float64 on the CPU, so that parts add up to the
        same as the whole.
    """
    floors = []
    for task, count in zip(tasks, counts, strict=True):
        found = [task.floors(batch)[task.present(batch)].cpu().double() for batch in batches]
        total = torch.cat([torch.zeros(0, dtype=torch.float64), *found]).sum()
        floors.append(total / max(count, 1))
    return floors


def mean_task_losses(
    tasks: tuple[Task, ...],
    output: Output,
    batch: Batch,
    counts: Sequence[int] | None = None,
) -> tuple[list[Tensor], list[bool]]:
    """Return each task's mean loss over its labelled images, and whether it has any.

    Args:
        tasks: K tasks.
        output: The network's output for `batch`.
        batch: All images of the mean, or a part of them.
        counts: K numbers of labelled images in the mean, if `batch` is a part of them; the results
            of the parts then add up to the mean of the whole.

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
