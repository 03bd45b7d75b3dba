"""Labels that people did not give: teachers' predictions, and shuffled ratings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from saliency.backends import Precision
from saliency.checkpoint import identify
from saliency.datasets import LabelledDataset
from saliency.densities import normalize_density
from saliency.ensemble import Ensemble, combine
from saliency.errors import ConfigError, ImageError
from saliency.files import write_atomically
from saliency.predictor import Predictor
from saliency.types import Prediction, Sample


class _Relabelled:
    """The images of a data set, in the same order; subclasses give them other labels."""

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

    When this is built, the teachers see every image once as it is and once mirrored, and the mean
    of all predictions is the label. Densities are kept in memory at half of the network's size:
    55 KB for a network of 288x384 pixels.

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
        precision: Precision = "float32",
        kept_in: Path | None = None,
        on_image: Callable[[int, int], None] | None = None,
    ) -> None:
        """Predict the labels that images of `dataset` lack.

        Args:
            dataset: A set with any labels.
            teachers: Checkpoints, at least one; on a CPU faster after `saliency export`.
            device: Device that they compute on.
            share: Share of the teachers' density in the label of an image that has one, 0..1.
            precision: Precision of the teachers' convolutions, as in `Predictor.load`.
            kept_in: File of the teachers' predictions: read if it is by these teachers of this
                data set, else written; None: no file.
            on_image: Called after each image with how many are done and how many there are.

        Raises:
            CheckpointError: One of `teachers` is no checkpoint of this project.
            ConfigError: They lack the head for what is missing, or that for densities to share.
        """
        super().__init__(dataset)
        self._share = share
        self._densities: dict[str, NDArray[np.float16]] = {}
        self._distributions: dict[str, NDArray[np.float32]] = {}
        predictors = [Predictor.load(path, str(device), precision) for path in teachers]
        if kept_in is None:
            self._predict(predictors, teachers, on_image)
            return
        made_of = _digest(dataset, teachers, share)
        if not self._read(kept_in, made_of):
            self._predict(predictors, teachers, on_image)
            self._keep(kept_in, made_of)

    def _predict(
        self,
        predictors: Sequence[Predictor],
        teachers: Sequence[Path],
        on_image: Callable[[int, int], None] | None,
    ) -> None:
        asked: list[tuple[str, bool, bool]] = []  # image id, wants a density, lacks a score

        def images() -> Iterator[NDArray[np.uint8]]:
            for index in range(len(self._dataset)):
                try:
                    sample = self._dataset[index]
                except ImageError:
                    continue  # the loader names it
                wants = sample.density is None or self._share > 0
                asked.append((sample.image_id, wants, sample.score_distribution is None))
                yield sample.image

        for number, prediction in enumerate(_predict_mirrored(predictors, images())):
            image_id, wants_density, lacks_score = asked[number]
            density, distribution = prediction.network_density, prediction.score_distribution
            if wants_density and density is not None:
                self._densities[image_id] = _compact(density)
            elif lacks_score and distribution is not None and not self._share:
                self._distributions[image_id] = distribution
            elif wants_density or lacks_score:
                raise ConfigError(
                    f"`teacher` of the set {self.name} should have a head for the labels that "
                    f"it lacks or "
                    "shares. "
                    f"Found none in {', '.join(map(str, teachers))}."
                )
            if on_image is not None:
                on_image(number + 1, len(self._dataset))

    def _read(self, path: Path, made_of: str) -> bool:
        """Read the predictions that were kept; return False if there are none of the same."""
        try:
            with safe_open(path, "np") as kept:
                if (kept.metadata() or {}).get("made_of") != made_of:
                    return False
                for key in kept.keys():  # noqa: SIM118 - not a mapping
                    kind, _, image_id = key.partition("/")
                    of_kind = self._densities if kind == "density" else self._distributions
                    of_kind[image_id] = kept.get_tensor(key)
        except (OSError, SafetensorError):
            return False
        return True

    def _keep(self, path: Path, made_of: str) -> None:
        tensors: dict[str, NDArray[np.floating]] = {
            **{f"density/{image_id}": array for image_id, array in self._densities.items()},
            **{f"score/{image_id}": array for image_id, array in self._distributions.items()},
        }
        write_atomically(path, save(tensors, {"made_of": made_of}))

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
    """Yield the mean of all predictions for each photo and, mirrored back, its mirror image."""

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
    """Return `density` at half its size, relative to its peak, since float16 ends at 6e-8."""
    height, width = density.shape
    half = cv2.resize(density, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half / half.max(), np.float16)


def _digest(dataset: LabelledDataset, teachers: Sequence[Path], share: float) -> str:
    """Return a digest of the teachers, the set's image names and the share."""
    parts = (*map(identify, teachers), dataset.name, str(share), *dataset.ids)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class ShuffledRatings(_Relabelled):
    """A data set whose ratings are shuffled among its images, as a placebo; itself a data set."""

    def __init__(self, dataset: LabelledDataset, seed: int) -> None:
        """Read all ratings and draw which image gets which."""
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
