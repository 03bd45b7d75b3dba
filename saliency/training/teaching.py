"""Labels that nobody gave: a teacher's predictions, and ratings that changed places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from saliency.checkpoint import load_checkpoint
from saliency.datasets import LabelledDataset
from saliency.densities import normalize_density
from saliency.errors import ConfigError, ImageError
from saliency.predictor import Predictor
from saliency.types import Sample


class _Relabelled:
    """The images of a data set, in its order; subclasses give them other labels."""

    def __init__(self, dataset: LabelledDataset) -> None:
        self._dataset = dataset

    @property
    def name(self) -> str:
        """Name of the set."""
        return self._dataset.name

    @property
    def ids(self) -> tuple[str, ...]:
        """File names, as in the set."""
        return self._dataset.ids

    def __len__(self) -> int:
        return len(self._dataset)


class TaughtDataset(_Relabelled):
    """A data set with the labels that it lacks filled in by a teacher; itself a data set.

    The teacher sees every image once, as it is, when this is made. Its densities are kept at the
    network's size, in memory: 2 bytes a pixel.

    Source:
        Hinton et al., "Distilling the knowledge in a neural network" (2015), with a teacher that
        learned another task, or the same one on other images.
    """

    def __init__(self, dataset: LabelledDataset, teacher: Path, device: torch.device) -> None:
        """Predict what the images of `dataset` lack.

        Raises:
            CheckpointError: `teacher` is no checkpoint of this project.
            ConfigError: It lacks the head for what is missing.
        """
        super().__init__(dataset)
        self._densities: dict[str, NDArray[np.float16]] = {}
        self._distributions: dict[str, NDArray[np.float32]] = {}
        predictor = Predictor(load_checkpoint(teacher), device)
        asked: list[tuple[str, bool, bool]] = []  # image id, lacks a density, lacks a score

        def images() -> Iterator[NDArray[np.uint8]]:
            for index in range(len(dataset)):
                try:
                    sample = dataset[index]
                except ImageError:
                    continue  # the loader names it
                lacks = sample.density is None, sample.score_distribution is None
                asked.append((sample.image_id, *lacks))
                yield sample.image

        for number, prediction in enumerate(predictor.predict_many(images())):
            image_id, lacks_density, lacks_score = asked[number]
            if lacks_density and prediction.density is not None:
                size = predictor.preprocessing.network_size(prediction.image_size)
                self._densities[image_id] = _compact(prediction.density, size)
            elif lacks_score and prediction.score_distribution is not None:
                self._distributions[image_id] = prediction.score_distribution
            elif lacks_density or lacks_score:
                raise ConfigError(
                    f"`teacher` of the set {self.name} should have a head for what it lacks. "
                    f"Found none in {teacher}."
                )

    def __getitem__(self, index: int) -> Sample:
        sample = self._dataset[index]
        if sample.image_id in self._densities:
            height, width = sample.image.shape[:2]
            small = self._densities[sample.image_id].astype(np.float32)
            density = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
            return replace(sample, density=normalize_density(np.asarray(density, np.float32)))
        if sample.image_id in self._distributions:
            distribution = self._distributions[sample.image_id]
            return replace(sample, score_distribution=distribution, score_is_taught=True)
        return sample


def _compact(density: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float16]:
    """Return `density` at `size` (height, width), relative to its peak: float16 ends at 6e-8."""
    height, width = size
    small = cv2.resize(density, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small / small.max(), np.float16)


class ShuffledRatings(_Relabelled):
    """A data set whose images have each other's ratings, for a placebo; itself a data set."""

    def __init__(self, dataset: LabelledDataset, seed: int) -> None:
        """Read all ratings and draw who gets whose."""
        super().__init__(dataset)
        ratings: list[tuple[NDArray[np.float32], tuple[float, ...]] | None] = []
        for index in range(len(dataset)):
            try:
                sample = dataset[index]
            except ImageError:
                ratings.append(None)  # the loader names it
                continue
            votes = sample.score_distribution
            ratings.append(None if votes is None else (votes, sample.attributes))
        rated = [index for index, rating in enumerate(ratings) if rating is not None]
        drawn = np.random.default_rng(seed).permutation(rated)
        self._ratings = {
            index: ratings[other] for index, other in zip(rated, drawn.tolist(), strict=True)
        }

    def __getitem__(self, index: int) -> Sample:
        votes, attributes = self._ratings.get(index) or (None, ())
        sample = self._dataset[index]
        return replace(sample, score_distribution=votes, attributes=attributes)
