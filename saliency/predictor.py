"""Predictions of photos: the one way for library, command line, evaluation and validation."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.attributes import Attribute, AttributeEstimate
from saliency.backends import Backend, BackendName, NetworkOutput, Precision, open_backend
from saliency.checkpoint import Card, Checkpoint, Header, find_weights, read_header
from saliency.densities import normalize_density
from saliency.devices import Device, count_cores, find_device
from saliency.images import (
    DEFAULT_LIMITS,
    ImageLimits,
    ImageSource,
    OwnColours,
    read_own_colours,
    read_reduced,
)
from saliency.records import Record, to_record
from saliency.sizes import fit_within
from saliency.threads import map_ahead, split_groups
from saliency.types import SCORES, Prediction, Uncertainty

if TYPE_CHECKING:
    import torch

BATCH_SIZE = 8

OVERSAMPLING = 3
"""A large JPEG is decoded to at least this many pixels along a side for each of the network's. With
2 the differences from the whole photo's maps and scores are twice as large, with 1 far too large.
"""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A decoded photo, ready for the network.

    Attributes:
        image: (H', W', 3) uint8, upright RGB: the photo, or the photo reduced.
        size: (height, width) of the photo.
        input: (3, h, w) float32, resized and normalised.
        measured: (H", W", 3) uint8, upright RGB: the pixels that the network's input was made from.
            Quality is measured on them, since their size does not depend on that of `image`.
        notes: As in `Prediction`.
    """

    image: NDArray[np.uint8]
    size: tuple[int, int]
    input: NDArray[np.float32]
    measured: NDArray[np.uint8]
    notes: tuple[str, ...] = ()

    @property
    def network_size(self) -> tuple[int, int]:
        """(h, w): photos of one network size can share a batch."""
        return self.input.shape[1], self.input.shape[2]


class Predictor:
    """A loaded network that turns photos into predictions.

    Attributes:
        backend: The library that computes the network.
        device: The device that it computes on.
        architecture: The fields of `saliency.model.Architecture`.
        preprocessing: How photos become the network's input.
        card: Origin and description of the weights.
        attributes: The attributes that the network predicts besides map and score.

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
            checkpoint: The network, or only its header if `backend` holds the network.
            device: As for `load`.
            precision: As for `load`.
            backend: A backend with the network on `device`; None: PyTorch computes that of
                `checkpoint`.

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
            weights: A checkpoint of this project, or the name of released weights: "default", as
                None, or "accurate", whose maps are better and which is slower.
            device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
            precision: Precision of the convolutions. Below float32 they are faster on a GPU, and
                with OpenVINO on a CPU that computes in bfloat16; the numbers differ a little.
            backend: `torch`, the reference; `onnx` or `openvino`, faster on a CPU, for checkpoints
                that `saliency export` has exported, such as the released one; `auto`, the fastest
                installed one that can compute this checkpoint.
            threads: On a CPU: the number of threads that will call at once, each computing on one
                core; None: one call at a time, on all cores. The numbers of threads of OpenCV and
                PyTorch are set for the whole process.
            dropout_samples: How many times to compute the score with features dropped at random,
                the same ones for every photo, for `Uncertainty.score_model_std`; 16 are enough.
                Needs PyTorch and a network that was trained with dropout.

        Raises:
            BackendError: The backend is not installed, or does not suit the weights or the device.
            CheckpointError: The file is missing, damaged or no checkpoint of this project.
            ConfigError: `dropout_samples` is set, and the network was trained without dropout.
            DeviceError: The device is unknown or absent.
        """
        found = find_device(device)  # an error comes before the slow loading
        path = find_weights(weights)
        opened = open_backend(backend, path, found, precision, threads, dropout_samples)
        if threads is not None and found.type == "cpu":
            cv2.setNumThreads(1)  # its own threads would wait for cores that the callers use
        return cls(read_header(path), str(found), backend=opened)

    @property
    def precision(self) -> Precision:
        """Precision of the convolutions."""
        return self.backend.precision

    @property
    def batch_size(self) -> int:
        """Photos that should go through the network together: 1 if each core computes its own."""
        return 1 if self.backend.is_concurrent else BATCH_SIZE

    def describe(self) -> str:
        """Return device and backend as text for people."""
        return f"device: {self.device}, backend: {self.backend.name}"

    def predict(self, image: ImageSource) -> Prediction:
        """Predict one photo.

        Args:
            image: Path, encoded bytes, PIL image or (H, W, 3) uint8 RGB array.

        Raises:
            ImageError: The photo cannot be read, or is larger than the limits.
        """
        [prediction] = self.predict_prepared([self.prepare(image)], on_all_cores=True)
        return prediction

    def record(self, image: ImageSource, name: str | None = None) -> Record:
        """Return the record of a photo, as the command line and the service do.

        Args:
            image: As for `predict`.
            name: Name of the photo in the record; None: its path, or empty without one.

        Raises:
            ImageError: The photo cannot be read, or is larger than the limits.
        """
        prepared = self.prepare(image)
        [prediction] = self.predict_prepared([prepared], on_all_cores=True)
        if name is None:
            name = os.fspath(image) if isinstance(image, str | os.PathLike) else ""
        return to_record(name, prediction, prepared.measured)

    def predict_many(
        self, images: Iterable[ImageSource], batch_size: int | None = None
    ) -> Iterator[Prediction]:
        """Predict many photos; the numbers are those of `predict`.

        Photos are decoded and computed in several threads, a few ahead of the one that is yielded.

        Args:
            images: As for `predict`; read as they are needed.
            batch_size: Photos that go through the network together; None: `Predictor.batch_size`.

        Yields:
            One prediction per photo, in order.

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
        The network's input does not depend on `picture_side_px`.

        Args:
            source: As for `predict`.
            limits: Largest file and largest picture to accept.
            picture_side_px: `PreparedImage.image` has a longer side of at least so many pixels, or
                the photo's own size; None: always the photo's own.

        Raises:
            ImageError: The photo cannot be read, or is larger than `limits`.
        """
        photo = read_reduced(source, self._enough, limits=limits)
        image = photo.pixels
        inputs = self.preprocessing.to_input(image)
        picture = fit_within(photo.size, picture_side_px)
        if max(picture) > max(image.shape):
            image = read_reduced(source, lambda _: picture, limits=limits).pixels
        return PreparedImage(image, photo.size, inputs, photo.pixels, photo.notes)

    def prepare_whole(self, path: Path) -> tuple[PreparedImage, OwnColours]:
        """Do what `prepare` does, and also return the whole photo in its own colours.

        The network's input equals that of `prepare` bit by bit: a JPEG that is read in fewer pixels
        for the network is decoded a second time.

        Args:
            path: The photo.

        Raises:
            ImageError: The photo cannot be read, or is too large.
        """
        own = read_own_colours(path)
        size = own.in_srgb.shape[0], own.in_srgb.shape[1]
        spare = min(have // need for have, need in zip(size, self._enough(size), strict=True))
        prepared = self.prepare(path if own.is_jpeg and spare >= 2 else own.in_srgb)
        return replace(prepared, image=own.in_srgb, notes=own.notes), own

    def _enough(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the smallest (rows, columns) that a photo of this size is decoded to."""
        height, width = self.preprocessing.network_size(size)
        return OVERSAMPLING * height, OVERSAMPLING * width

    def infer(self, batch: Sequence[PreparedImage], *, on_all_cores: bool = True) -> NetworkOutput:
        """Run the network on photos of one network size; several threads may call at once.

        Args:
            batch: The photos.
            on_all_cores: Whether a CPU uses all cores; False if several threads call at once.

        Returns:
            The output, with one row per photo; the log-density has the network's input size.
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
            photos: The photos; neighbours of one network size go through the network together.
            on_all_cores: Whether a CPU uses all cores; False if several threads call at once.

        Returns:
            One prediction per photo, in order.
        """
        predictions = []
        for _, group in groupby(photos, key=lambda photo: photo.network_size):
            batch = list(group)
            with nullcontext() if self.backend.is_concurrent else self._turn:
                output = self.infer(batch, on_all_cores=on_all_cores)
            predictions += [
                to_prediction(output, i, photo.size, self.attributes, photo.notes)
                for i, photo in enumerate(batch)
            ]
        return predictions


def to_prediction(
    output: NetworkOutput,
    index: int,
    image_size: tuple[int, int],
    attributes: Sequence[Attribute] = (),
    notes: tuple[str, ...] = (),
) -> Prediction:
    """Return the prediction of one photo from the output of `infer`.

    Args:
        output: Output of `infer`.
        index: Row of the photo.
        image_size: (height, width) of the photo.
        attributes: `Predictor.attributes`.
        notes: `PreparedImage.notes`.
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
    return Prediction(
        image_size, density, score, score_std, distribution, estimates, uncertainty, notes
    )


def _to_uncertainty(output: NetworkOutput, index: int) -> Uncertainty | None:
    """Return the uncertainty that the network's output states; None if it states none."""
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
    """Return the estimate of an attribute from the network's number, or its (classes,) logits."""
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
    """Return `log_density` (h', w') enlarged to (height, width) `size`, as the network would do."""
    if log_density.shape == size:
        return log_density
    height, width = size
    return np.asarray(
        cv2.resize(log_density, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )


def _to_backend(checkpoint: Checkpoint | Header, device: Device, precision: Precision) -> Backend:
    """Return PyTorch with the network of `checkpoint`."""
    if not isinstance(checkpoint, Checkpoint):
        raise TypeError(
            "`checkpoint` should hold a network, or `backend` should be given. Found neither."
        )
    import torch

    from saliency.backends.torch import TorchBackend

    return TorchBackend(checkpoint.network, torch.device(str(device)), precision)
