"""Measures the averaged weights on validation images, with the Predictor that users have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from saliency.checkpoint import Checkpoint
from saliency.datasets.sets import LabelledSets
from saliency.evaluation import SetResult, evaluate
from saliency.predictor import Predictor
from saliency.preprocessing import Preprocessing
from saliency.tasks import Task
from saliency.training.balancing import mean_losses
from saliency.training.data import PlainBatches
from saliency.types import Batch, Output

GAP_IMAGES = 200
"""Number of validation images with fixations, and with ratings, whose losses are compared with
those of training."""


class _StopRequestedError(Exception):
    """A stop was asked for during validation."""


@dataclass(frozen=True)
class Validated:
    """The results of a validation.

    Attributes:
        results: One result per set.
        losses: Mean loss of each task on validation images, by name; tasks without labels there
            are missing.
    """

    results: Sequence[SetResult] = ()
    losses: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The score that the best epoch is chosen by; -inf if nothing was measured."""
        return validation_score(self.results)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Values by set and metric."""
        return {r.name: {k: m.value for k, m in r.measures.items()} for r in self.results}

    def gaps(self, means: Mapping[str, float]) -> dict[str, float]:
        """Return how much higher each task's loss is than its mean in training, `means`."""
        return {
            task: loss - means[f"loss/{task}"]
            for task, loss in self.losses.items()
            if f"loss/{task}" in means
        }


class Validation:
    """The validation images, and how to measure a network on them."""

    def __init__(
        self,
        sets: LabelledSets,
        tasks: Sequence[Task],
        preprocessing: Preprocessing,
        device: torch.device,
    ) -> None:
        self._sets = sets
        self._tasks = tuple(tasks)
        self._preprocessing = preprocessing
        self._device = device

    def measure(self, checkpoint: Checkpoint, is_stopping: Callable[[], bool]) -> Validated:
        """Measure a network, in the neutral setting on whole images.

        Args:
            checkpoint: The network and what it needs.
            is_stopping: Returns whether to stop; it is called after each image.

        Returns:
            The results; empty if it was stopped.
        """
        try:
            return self._measure(checkpoint, is_stopping)
        except _StopRequestedError:
            return Validated()

    def _measure(self, checkpoint: Checkpoint, is_stopping: Callable[[], bool]) -> Validated:
        def go_on() -> None:
            if is_stopping():
                raise _StopRequestedError

        predictor = Predictor(checkpoint, self._device)
        results = [evaluate(predictor, s, full=False, on_image=go_on) for s in self._sets]
        network = checkpoint.network.eval()

        def predict(batch: Batch) -> Output:
            output: Output = network(batch.images)
            return output

        def batches() -> Iterator[Batch]:
            for batch in PlainBatches(self._sets, self._preprocessing, GAP_IMAGES):
                go_on()
                yield batch.to(self._device)

        losses = mean_losses(self._tasks, predict, batches())
        return Validated(
            results,
            {
                task.name: loss
                for task, loss in zip(self._tasks, losses, strict=True)
                if not math.isnan(loss)
            },
        )


def validation_score(results: Sequence[SetResult]) -> float:
    """Return the mean over tasks of CC (saliency sets) and SRCC (rated sets).

    If neither main task is learned, it is the mean of the attributes' SRCC and accuracy.
    """
    measured = dict.fromkeys(metric for result in results for metric in result.measures)
    chosen = [metric for metric in measured if metric in ("CC", "SRCC")]
    means = []
    for metric in chosen or [m for m in measured if m.endswith((" SRCC", " accuracy"))]:
        values = [r.measures[metric].value for r in results if metric in r.measures]
        means.append(sum(values) / len(values))
    return sum(means) / len(means) if means else float("-inf")
