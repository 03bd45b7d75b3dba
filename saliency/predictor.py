"""Photo in, Prediction out: the one path for library, command line, evaluation and validation."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.attributes import Attribute, AttributeEstimate
from saliency.backends import Backend, BackendName, NetworkOutput, Precision, open_backend
from saliency.checkpoint import Card, Checkpoint, Header, read_header, released_weights
from saliency.densities import normalize_density
from saliency.devices import Device, count_cores, find_device
from saliency.images import DEFAULT_LIMITS, ImageLimits, ImageSource, read_reduced
from saliency.sizes import fit_within
from saliency.threads import map_ahead, split_groups
from saliency.types import SCORES, Prediction, Uncertainty

if TYPE_CHECKING:
    import torch

BATCH_SIZE = 8

OVERSAMPLING = 3
"""Pixels along a side that a large JPEG is decoded to, at least, for each of the network's: with 2
maps and scores differ from the whole photo's by twice as much, with 1 by far too much."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A decoded photo, ready for the network.

    Attributes:
        image: (H', W', 3) uint8, upright RGB: the photo, or the photo reduced.
        size: (height, width) of the photo.
        input: (3, h, w) float32, resized and normalised.
    """

    image: NDArray[np.uint8]
    size: tuple[int, int]
    input: NDArray[np.float32]

    @property
    def network_size(self) -> tuple[int, int]:
        """(h, w): photos of one network size can share a batch."""
        return self.input.shape[1], self.input.shape[2]


class Predictor:
    """A loaded network that turns photos into predictions.

    Attributes:
        backend: What computes the network.
        device: Where.
        architecture: The fields of `saliency.model.Architecture`.
        preprocessing: How photos are fed to the network.
        card: Where the weights come from.
        attributes: What the network tells of a photo beside map and score.

    Example:
        >>> predictor = Predictor.load()  # doctest: +SKIP
        >>> prediction = predictor.predict("photo.jpg")  # doctest: +SKIP
        >>> prediction.density.shape, prediction.score  # doctest: +SKIP
        ((3024, 4032), 6.1)
    """

    def __init__(
        self,
        checkpoint: Checkpoint | Header,
        device: str | torch.device = "auto",
        precision: Precision = "float32",
        *,
        backend: Backend | None = None,
    ) -> None:
        """Predict with a network that is in memory; `load` reads one from a file.

        Args:
            checkpoint: The network, or what describes it where a backend has it already.
            device: As for `load`.
            precision: As for `load`.
            backend: Holds the network on `device`; None: PyTorch computes that of `checkpoint`.

        Raises:
            DeviceError: The device is unknown or absent.
        """
        self.device: Device = find_device(str(device))
        self.preprocessing = checkpoint.preprocessing
        self.card: Card = checkpoint.card
        self.architecture: Mapping[str, Any]
        if isinstance(checkpoint, Checkpoint):
            self.architecture = asdict(checkpoint.network.architecture)
        else:
            self.architecture = checkpoint.architecture
        self.attributes = tuple(Attribute(*a) for a in self.architecture.get("attributes", ()))
        self.backend = backend or _to_backend(checkpoint, self.device, precision)
        self._turn = Lock()

    @classmethod
    def load(
        cls,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Precision = "float32",
        backend: BackendName = "auto",
        threads: int | None = None,
        dropout_samples: int = 0,
    ) -> Predictor:
        """Load a checkpoint.

        Args:
            weights: A checkpoint of this project; None for the released weights.
            device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
            precision: Of the convolutions. Below float32 they are faster on a GPU, and with
                OpenVINO on a CPU that computes in bfloat16, and the numbers differ a little.
            backend: What computes: `torch`, the reference; `onnx` or `openvino`, faster on a CPU,
                for checkpoints that `saliency export` was called for, as for the released one;
                `auto`, the fastest of those that are installed and can.
            threads: On a CPU: how many threads will call at once, each computing on one core;
                None: one call at a time, on all cores. What OpenCV and PyTorch take is set for
                the whole process.
            dropout_samples: How many times to read the score with features dropped at random, the
                same ones for every photo, for `Uncertainty.score_model_std`; 16 is plenty. Needs
                PyTorch and a network that was trained with dropout.

        Raises:
            BackendError: The backend is not installed, or does not go with the rest.
            CheckpointError: The file is missing, damaged or foreign.
            ConfigError: Features should be dropped, and the network was trained without dropout.
            DeviceError: The device is unknown or absent.
        """
        found = find_device(device)  # before the slower loading
        path = released_weights() if weights is None else Path(weights)
        opened = open_backend(backend, path, found, precision, threads, dropout_samples)
        if threads is not None and found.type == "cpu":
            cv2.setNumThreads(1)  # its own threads would wait for cores that the callers have
        return cls(read_header(path), str(found), backend=opened)

    @property
    def precision(self) -> Precision:
        """What the convolutions are computed in."""
        return self.backend.precision

    @property
    def batch_size(self) -> int:
        """Photos that should go through the network together: 1 where each core does its own."""
        return 1 if self.backend.is_concurrent else BATCH_SIZE

    def describe(self) -> str:
        """Return where and with what it computes, for people."""
        return f"device: {self.device}, backend: {self.backend.name}"

    def predict(self, image: ImageSource) -> Prediction:
        """Predict one photo.

        Args:
            image: Path, encoded bytes, PIL image or (H, W, 3) uint8 RGB array.

        Raises:
            ImageError: It cannot be read, or is larger than the limits.
        """
        [prediction] = self.predict_prepared([self.prepare(image)], on_all_cores=True)
        return prediction

    def predict_many(
        self, images: Iterable[ImageSource], batch_size: int | None = None
    ) -> Iterator[Prediction]:
        """Predict many photos; the numbers are those of `predict`.

        Photos are decoded and computed in several threads, a few ahead of the one that is yielded.

        Args:
            images: As for `predict`; read as they are needed.
            batch_size: Photos that go through the network together; None: `Predictor.batch_size`.

        Yields:
            One prediction a photo, in order.

        Raises:
            ImageError: A photo cannot be read; those before it were yielded.
        """
        batch_size = self.batch_size if batch_size is None else batch_size
        if batch_size < 1:
            raise ValueError(f"`batch_size` should be at least 1. Found {batch_size}.")
        groups = split_groups(images, batch_size)
        for predictions in map_ahead(self._predict_group, groups, count_cores()):
            yield from predictions

    def _predict_group(self, sources: Sequence[ImageSource]) -> list[Prediction]:
        return self.predict_prepared([self.prepare(source) for source in sources])

    def prepare(
        self,
        source: ImageSource,
        limits: ImageLimits = DEFAULT_LIMITS,
        *,
        picture_side_px: int | None = 0,
    ) -> PreparedImage:
        """Decode a photo and bring it to the network's size.

        `prepare`, `infer` and `to_prediction` are the three steps of `predict`, for a caller that
        runs them in different threads.

        A JPEG much larger than the network's input is decoded in fewer pixels (`read_reduced`).
        What the network gets does not depend on `picture_side_px`.

        Args:
            source: As for `predict`.
            limits: Largest file and largest picture to accept.
            picture_side_px: `PreparedImage.image` has a longer side of at least so many pixels, or
                the photo's own size; None: always the photo's own.

        Raises:
            ImageError: It cannot be read, or is larger than `limits`.
        """

        def enough(size: tuple[int, int]) -> tuple[int, int]:
            height, width = self.preprocessing.network_size(size)
            return OVERSAMPLING * height, OVERSAMPLING * width

        photo = read_reduced(source, enough, limits=limits)
        inputs = self.preprocessing.to_input(photo.pixels)
        picture = fit_within(photo.size, picture_side_px)
        if max(picture) > max(photo.pixels.shape):
            photo = read_reduced(source, lambda _: picture, limits=limits)
        return PreparedImage(photo.pixels, photo.size, inputs)

    def infer(self, batch: Sequence[PreparedImage], *, on_all_cores: bool = True) -> NetworkOutput:
        """Run the network on photos of one network size; several threads may call at once.

        Args:
            batch: The photos.
            on_all_cores: On a CPU; False where several threads call at once.

        Returns:
            Its output, a row a photo, the log-density at the network's input size.
        """
        inputs = np.stack([prepared.input for prepared in batch])
        output = self.backend.infer(inputs, on_all_cores=on_all_cores)
        if output.log_density is None:
            return output
        height, width = batch[0].network_size
        enlarged = np.stack([_enlarge(row, (height, width)) for row in output.log_density])
        return output._replace(log_density=enlarged)

    def predict_prepared(
        self, photos: Sequence[PreparedImage], *, on_all_cores: bool = False
    ) -> list[Prediction]:
        """Predict photos that `prepare` returned; several threads may call at once.

        Args:
            photos: Neighbours of one network size go through the network together.
            on_all_cores: On a CPU; False where several threads call at once.

        Returns:
            One prediction a photo, in order.
        """
        predictions = []
        for _, group in groupby(photos, key=lambda photo: photo.network_size):
            batch = list(group)
            with nullcontext() if self.backend.is_concurrent else self._turn:
                output = self.infer(batch, on_all_cores=on_all_cores)
            predictions += [
                to_prediction(output, i, photo.size, self.attributes)
                for i, photo in enumerate(batch)
            ]
        return predictions


def to_prediction(
    output: NetworkOutput,
    index: int,
    image_size: tuple[int, int],
    attributes: Sequence[Attribute] = (),
) -> Prediction:
    """Return what `infer` returned for one photo.

    Args:
        output: From `infer`.
        index: Row of the photo.
        image_size: (height, width) of the photo.
        attributes: `Predictor.attributes`.
    """
    density = distribution = score = score_std = None
    if output.log_density is not None:
        density = normalize_density(np.exp(output.log_density[index]))
    if output.score_logits is not None:
        probabilities = _softmax(output.score_logits[index])
        score = float(probabilities @ SCORES)
        score_std = float(np.sqrt(probabilities @ (SCORES - score) ** 2))
        distribution = probabilities.astype(np.float32)
    errors = output.attribute_log_variances or (None,) * len(output.attributes)
    estimates = tuple(
        _to_estimate(attribute, values[index], None if error is None else error[index])
        for attribute, values, error in zip(attributes, output.attributes, errors, strict=True)
    )
    uncertainty = _to_uncertainty(output, index)
    return Prediction(image_size, density, score, score_std, distribution, estimates, uncertainty)


def _to_uncertainty(output: NetworkOutput, index: int) -> Uncertainty | None:
    """Return what the network's output says of how far to trust it; None if nothing."""
    error = output.score_log_variance
    samples = output.sampled_score_logits
    if error is None and samples is None:
        return None
    scores = [] if samples is None else [_softmax(logits) @ SCORES for logits in samples[index]]
    return Uncertainty(
        score_error_std=None if error is None else _to_std(error[index]),
        score_model_std=None if samples is None else float(np.std(scores)),
    )


def _to_std(log_variance: np.float32) -> float:
    return math.exp(float(log_variance) / 2)


def _to_estimate(
    attribute: Attribute, output: NDArray[np.float32], log_variance: np.float32 | None
) -> AttributeEstimate:
    """Return what the network's number, or its (classes,) logits, say of an attribute."""
    if not attribute.classes:
        label = min(max(float(output), 0.0), 1.0)  # a linear read-out may leave the scale
        scale = attribute.high - attribute.low
        std = None if log_variance is None else scale * _to_std(log_variance)
        return AttributeEstimate(attribute.name, attribute.to_value(label), std)
    shares = _softmax(output)
    return AttributeEstimate(
        attribute.name,
        label=attribute.classes[int(shares.argmax())],
        probabilities=dict(zip(attribute.classes, shares.tolist(), strict=True)),
    )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shares = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(shares / shares.sum())


def _enlarge(log_density: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return `log_density` (h', w') at (height, width) `size`, as the network itself would."""
    if log_density.shape == size:
        return log_density
    height, width = size
    return np.asarray(
        cv2.resize(log_density, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )


def _to_backend(checkpoint: Checkpoint | Header, device: Device, precision: Precision) -> Backend:
    """Return PyTorch with the network of `checkpoint`."""
    import torch

    from saliency.backends.torch import TorchBackend

    if not isinstance(checkpoint, Checkpoint):
        raise TypeError("`checkpoint` should hold a network, or `backend` be given. Found neither.")
    return TorchBackend(checkpoint.network, torch.device(str(device)), precision)
