"""The objective of training: one scalar from all tasks and regularisers, and the values to log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from saliency.errors import SaliencyError
from saliency.evaluation import SetResult
from saliency.model import SaliencyNetwork
from saliency.tasks import (
    Task,
    count_labels,
    mean_floors,
    mean_task_losses,
    score_error_losses,
)
from saliency.training.anchor import FeatureAnchor
from saliency.training.balancing import (
    check_gradients,
    constant_losses,
    gradient_cosines,
    indicators,
    shared_tensors,
)
from saliency.training.building import least_rated_gradient
from saliency.training.config import TrainingConfig
from saliency.training.distributed import World
from saliency.types import Batch, Output

COSINE_EVERY = 20
"""Steps between measurements of gradient cosines, which cost a backward pass of the heads."""


class Objective:
    """The weighted sum of the tasks' losses, plus regularisers.

    `total = sum_k w_k L_k + a drift + error + b penalty`

    L_k is the mean loss of task k over the images that have its label. w_k is its weight by the
    strategy that the config names (with `weighting.normalize` rescaled to sum K). Drift is the
    distance of the scores' features from the pretrained ones (`train.feature_anchor` is a; only in
    networks with both main heads). Error is the loss of the stated errors of scores (not weighted:
    its gradient reaches nothing else). Penalty is the sharing scheme's (`sharing.strength` is b).

    All means are over the whole batch, whichever processes and parts compute it.

    Attributes:
        tasks: The tasks of the run.
        weighting: The strategy that weights them; it is saved and resumed.
    """

    def __init__(
        self,
        config: TrainingConfig,
        network: SaliencyNetwork,
        tasks: Sequence[Task],
        device: torch.device,
        world: World,
    ) -> None:
        """Build the terms of the sum, before `network` is trained.

        Args:
            config: The run's configuration.
            network: The network, on `device`; a copy of its present encoder is the anchor.
            tasks: The tasks of the run, one or more.
            device: Device that the losses are computed on.
            world: The processes that share each batch.

        Raises:
            ConfigError: The strategy's options do not fit the tasks, or it uses gradients and
                there are none.
        """
        self.tasks = tuple(tasks)
        self.weighting = config.weighting.build(tasks).to(device)
        self.weighting.add_up = world.sum
        check_gradients(
            network, config.weighting.name, self.weighting.needs, least_rated_gradient(config)
        )
        has_both = network.decoder is not None and network.aesthetics is not None
        self._anchor_strength = config.train.feature_anchor
        self._anchor: FeatureAnchor | None = None
        if has_both and self._anchor_strength:
            in_half = config.train.in_half(device.type)
            self._anchor = FeatureAnchor(network, in_half=in_half)
        self._normalize = config.weighting.normalize
        self._penalty_strength = config.sharing.strength
        self._has_auxiliary = bool(config.model.auxiliary_outputs)
        self._network = network
        self._device = device
        self._world = world

    def __call__(
        self, outputs: Sequence[Output], batches: Sequence[Batch], step: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the scalar that this step minimises, and the values to log.

        Args:
            outputs: The network's outputs for each part of the batch that this process computes.
            batches: These parts; none if other processes have all images.
            step: Number of the step, counted from 0.

        Returns:
            A scalar, which has the same value in all processes, in each with the gradient of its
            own images; and values by name.

        Raises:
            SaliencyError: The scalar is not finite.
        """
        labels, rated, photos = self._count(batches)
        present = [count > 0 for count in labels]
        mine = self._add_up_mine(outputs, batches, labels, rated, photos)
        *losses, drift, error = self._world.total(mine)
        floors = self._hear_answers(batches, labels)
        total, values = self._weigh(losses, present, outputs)
        values |= floors
        if (step + 1) % COSINE_EVERY == 0:
            layer = shared_tensors(self._network, "last_layer")
            values |= gradient_cosines(self.tasks, losses, present, layer, self._world.sum)
        if self._anchor is not None:
            total = total + self._anchor_strength * drift
            values["feature_drift"] = float(drift.detach())
        if self._states_score_errors:
            total = total + error
            if rated:
                values["score_error"] = float(error.detach())
        penalty = self._network.penalty() if self._penalty_strength else None
        if penalty is not None:
            values["penalty"] = float(penalty.detach())
            if self._world.is_first:  # gradients are summed over processes
                total = total + self._penalty_strength * penalty
        values["loss"] = float(total.detach())
        if not torch.isfinite(total):
            raise SaliencyError(
                f"The loss should be finite. Found {values['loss']} at step {step}; lower the "
                "learning rates, or train in float32."
            )
        return total, values

    def start(self, batches: Iterable[Batch]) -> None:
        """Let the strategy measure the losses of constant predictions, before the first step.

        Args:
            batches: Training images without augmentation; read only if the strategy asks.
        """
        self.weighting.start(
            lambda: constant_losses(self.tasks, batches, auxiliary=self._has_auxiliary)
        )

    def after_step(self, step: int) -> None:
        """Tell weighting and sharing that the optimiser took a step, counted from 0."""
        self.weighting.after_step()
        self._network.sharing.after_step(step)

    def end_epoch(self, means: dict[str, float]) -> None:
        """Pass the means of an epoch's logged values to the strategy."""
        self.weighting.end_epoch(
            [means.get(f"loss/{task.name}", float("nan")) for task in self.tasks]
        )

    def indicators(self, results: Sequence[SetResult]) -> list[float]:
        """Return how good each task is on validation images, for `weighting.observe`."""
        return indicators(self.tasks, results)

    @property
    def _states_score_errors(self) -> bool:
        head = self._network.aesthetics
        return head is not None and head.error is not None

    def _count(self, batches: Sequence[Batch]) -> tuple[list[int], int, int]:
        """Return counts over the whole batch: images with each task's label, rated, unspoilt.

        Unspoilt images are those that are not spoilt copies.
        """
        rated = sum(int(batch.has_rating.sum()) for batch in batches)
        photos = sum(int((batch.distortion < 0).sum()) for batch in batches)
        mine = torch.cat([count_labels(self.tasks, batches), torch.tensor([rated, photos])])
        (counts,) = self._world.sum([mine])
        *labels, rated, photos = counts.tolist()
        return labels, rated, photos

    def _hear_answers(self, batches: Sequence[Batch], labels: Sequence[int]) -> dict[str, float]:
        """Pass people's disagreement to a strategy that asks for it; return the values to log."""
        if not self.weighting.needs_answers:
            return {}
        mine = mean_floors(self.tasks, batches, labels)
        if self._device.type != "mps":  # which has no float64, and no other processes
            mine = [floor.to(self._device) for floor in mine]
        floors = [float(floor) for floor in self._world.sum(mine)]
        self.weighting.hear_answers(floors, labels)
        return {
            f"floor/{task.name}": floor
            for task, floor, count in zip(self.tasks, floors, labels, strict=True)
            if count
        }

    def _add_up_mine(
        self,
        outputs: Sequence[Output],
        batches: Sequence[Batch],
        labels: Sequence[int],
        rated: int,
        photos: int,
    ) -> list[Tensor]:
        """Return what this process adds to the means of the whole batch: losses, drift, error."""
        zero = torch.zeros((), device=self._device)
        losses, drift, error = [zero] * len(self.tasks), zero, zero
        for output, batch in zip(outputs, batches, strict=True):
            found, _ = mean_task_losses(self.tasks, output, batch, labels)
            losses = [before + loss for before, loss in zip(losses, found, strict=True)]
            has_rating = batch.has_rating
            if self._states_score_errors and has_rating.any():
                error = error + score_error_losses(output, batch)[has_rating].sum() / rated
            if self._anchor is not None and output.aesthetic_features is not None:
                whole = batch.distortion < 0  # the features should show what spoilt the copies
                distance = self._anchor.loss(
                    batch.images[whole], output.aesthetic_features[whole].float()
                )
                drift = drift + distance * (int(whole.sum()) / photos)
        return [*losses, drift, error]

    def _weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], outputs: Sequence[Output]
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the weighted sum, and to log: losses, weights, and weights rescaled to sum K."""
        weighting = self.weighting
        total: Tensor = weighting(
            losses, present, shared_tensors(self._network, weighting.needs, outputs)
        )
        weights = weighting.current
        if self._normalize:
            total = total * len(self.tasks) / weighting.current.sum()
            weights = weighting.normalized
        values = {}
        for task, loss, is_present in zip(self.tasks, losses, present, strict=True):
            if is_present:
                values[f"loss/{task.name}"] = float(loss.detach())
        for task, weight, share in zip(self.tasks, weights, weighting.normalized, strict=True):
            values[f"weight/{task.name}"] = float(weight)  # what the loss was multiplied by
            values[f"share/{task.name}"] = float(share)
        return total, values
