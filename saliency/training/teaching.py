"""Labels that nobody gave: teachers' predictions, and ratings that changed places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from saliency.datasets import LabelledDataset
from saliency.densities import normalize_density
from saliency.ensemble import Ensemble, combine
from saliency.errors import ConfigError, ImageError
from saliency.predictor import Predictor
from saliency.types import Prediction, Sample


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
    """A data set with the labels that it lacks filled in by teachers; itself a data set.

    The teachers see every image once as it is and once mirrored, when this is made, and their mean
    is the label. Densities are kept at the network's size, in memory: 2 bytes a pixel.

    Source:
        Hinton et al., "Distilling the knowledge in a neural network" (2015), with teachers that
        learned another task, or the same one on other images. Furlanello et al., "Born-again
        neural networks" (2018), for a share of the teachers' label in one that an image has.
    """

    def __init__(
        self,
        dataset: LabelledDataset,
        teachers: Sequence[Path],
        device: torch.device,
        *,
        share: float = 0.0,
    ) -> None:
        """Predict what the images of `dataset` lack.

        Args:
            dataset: Any labels.
            teachers: Checkpoints, at least one; on a CPU faster after `saliency export`.
            device: Where they compute.
            share: Of the teachers' density in the density that an image has, 0 to 1.

        Raises:
            CheckpointError: One of `teachers` is no checkpoint of this project.
            ConfigError: They lack the head for what is missing.
        """
        super().__init__(dataset)
        self._share = share
        self._densities: dict[str, NDArray[np.float16]] = {}
        self._distributions: dict[str, NDArray[np.float32]] = {}
        asked: list[tuple[str, bool, bool]] = []  # image id, wants a density, lacks a score

        def images() -> Iterator[NDArray[np.uint8]]:
            for index in range(len(dataset)):
                try:
                    sample = dataset[index]
                except ImageError:
                    continue  # the loader names it
                wants = sample.density is None or share > 0
                asked.append((sample.image_id, wants, sample.score_distribution is None))
                yield sample.image

        predictors = [Predictor.load(path, str(device)) for path in teachers]
        for number, prediction in enumerate(_predict_mirrored(predictors, images())):
            image_id, wants_density, lacks_score = asked[number]
            density, distribution = prediction.network_density, prediction.score_distribution
            if wants_density and density is not None:
                self._densities[image_id] = _compact(density)
            elif lacks_score and distribution is not None:
                self._distributions[image_id] = distribution
            elif wants_density or lacks_score:
                raise ConfigError(
                    f"`teacher` of the set {self.name} should have a head for what it lacks. "
                    f"Found none in {', '.join(map(str, teachers))}."
                )

    def __getitem__(self, index: int) -> Sample:
        sample = self._dataset[index]
        if sample.image_id in self._densities:
            height, width = sample.image.shape[:2]
            small = self._densities[sample.image_id].astype(np.float32)
            density = normalize_density(
                np.asarray(
                    cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
                )
            )
            if sample.density is not None:
                density = (1 - self._share) * sample.density + self._share * density
            return replace(sample, density=density)
        if sample.image_id in self._distributions:
            distribution = self._distributions[sample.image_id]
            return replace(sample, score_distribution=distribution, score_is_taught=True)
        return sample


def _predict_mirrored(
    predictors: Sequence[Predictor], images: Iterable[NDArray[np.uint8]]
) -> Iterator[Prediction]:
    """Yield the mean of what all say of each photo and, mirrored back, of its mirror image."""

    def both() -> Iterator[NDArray[np.uint8]]:
        for image in images:
            yield image
            yield np.ascontiguousarray(image[:, ::-1])

    teachers = Ensemble(predictors) if len(predictors) > 1 else predictors[0]
    predictions = iter(teachers.predict_many(both()))
    for plain, mirrored in zip(predictions, predictions, strict=True):
        density = mirrored.network_density
        back = None if density is None else density[:, ::-1]
        yield combine([plain, replace(mirrored, network_density=back)])


def _compact(density: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return `density` relative to its peak: float16 ends at 6e-8."""
    return np.asarray(density / density.max(), np.float16)


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
