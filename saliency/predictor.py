"""Photo in, Prediction out: the one path for library, command line, evaluation and validation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from saliency.checkpoint import Card, Checkpoint, load_checkpoint, released_weights
from saliency.devices import resolve_device
from saliency.fixations import normalize_density
from saliency.images import DEFAULT_LIMITS, ImageLimits, ImageSource, read_image
from saliency.types import SCORES, Output, Prediction

BATCH_SIZE = 8

Precision = Literal["auto", "float32", "float16", "bfloat16"]
"""Of the convolutions; `auto` is float16 on CUDA and float32 elsewhere."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A decoded photo, ready for the network.

    Attributes:
        image: (H, W, 3) uint8, upright RGB.
        input: (3, h, w) float32, resized and normalised.
    """

    image: NDArray[np.uint8]
    input: torch.Tensor

    @property
    def network_size(self) -> tuple[int, int]:
        """(h, w): photos of one network size can share a batch."""
        return self.input.shape[1], self.input.shape[2]


class Predictor:
    """A loaded network that turns photos into predictions.

    Example:
        >>> predictor = Predictor.load()  # doctest: +SKIP
        >>> prediction = predictor.predict("photo.jpg")  # doctest: +SKIP
        >>> prediction.density.shape, prediction.score  # doctest: +SKIP
        ((3024, 4032), 6.1)
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str | torch.device = "auto",
        precision: Precision = "float32",
    ) -> None:
        self.device = resolve_device(device) if isinstance(device, str) else device
        on_cuda = self.device.type == "cuda"
        self.precision: Precision = precision
        if precision == "auto":
            self.precision = "float16" if on_cuda else "float32"
        self.preprocessing = checkpoint.preprocessing
        self.card: Card = checkpoint.card
        self.network = checkpoint.network.eval().to(self.device)
        self.network.to(memory_format=torch.channels_last)

    @classmethod
    def load(
        cls,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Precision = "float32",
    ) -> Predictor:
        """Load a checkpoint.

        Args:
            weights: A checkpoint of this project; None for the released weights.
            device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
            precision: Of the convolutions. Below float32 they are faster on a GPU, and the numbers
                differ a little from float32's.

        Raises:
            CheckpointError: The file is missing, damaged or foreign.
            DeviceError: The device is unknown or absent.
        """
        found = resolve_device(device)  # before the slower loading
        path = released_weights() if weights is None else Path(weights)
        return cls(load_checkpoint(path), found, precision)

    def predict(self, image: ImageSource) -> Prediction:
        """Predict one photo.

        Args:
            image: Path, encoded bytes, PIL image or (H, W, 3) uint8 RGB array.

        Raises:
            ImageError: It cannot be read, or is larger than the limits.
        """
        return next(self.predict_many([image]))

    def predict_many(
        self, images: Iterable[ImageSource], batch_size: int = BATCH_SIZE
    ) -> Iterator[Prediction]:
        """Predict many photos in batches; the numbers are those of `predict`.

        Args:
            images: As for `predict`; read as they are needed.
            batch_size: Photos that go through the network together.

        Yields:
            One prediction a photo, in order.

        Raises:
            ImageError: A photo cannot be read.
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` should be at least 1. Found {batch_size}.")
        waiting: list[PreparedImage] = []
        for source in images:
            waiting.append(self.prepare(source))
            if len(waiting) == batch_size:
                yield from self._predict_prepared(waiting)
                waiting = []
        yield from self._predict_prepared(waiting)

    def prepare(self, source: ImageSource, limits: ImageLimits = DEFAULT_LIMITS) -> PreparedImage:
        """Decode a photo and bring it to the network's size.

        `prepare`, `infer` and `to_prediction` are the three steps of `predict`, for a caller that
        runs them in different threads.

        Raises:
            ImageError: It cannot be read, or is larger than `limits`.
        """
        image = read_image(source, limits=limits)
        return PreparedImage(image, self.preprocessing.to_input(image))

    @torch.inference_mode()
    def infer(self, batch: Sequence[PreparedImage]) -> Output:
        """Run the network on photos of one network size.

        Returns:
            The network's output, float32 on the CPU; a row a photo.
        """
        inputs = torch.stack([prepared.input for prepared in batch])  # (B, 3, h, w)
        on_cuda = self.device.type == "cuda"
        if on_cuda:
            inputs = inputs.pin_memory()  # so that the copy need not be waited for
        inputs = inputs.to(self.device, memory_format=torch.channels_last, non_blocking=on_cuda)
        dtype = getattr(torch, self.precision)
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            output: Output = self.network(inputs)
        return Output(
            None if output.log_density is None else output.log_density.float().cpu(),
            None if output.score_logits is None else output.score_logits.float().cpu(),
        )

    def _predict_prepared(self, photos: list[PreparedImage]) -> Iterator[Prediction]:
        """Predict photos; neighbours of one orientation go through together."""
        for _, group in groupby(photos, key=lambda prepared: prepared.network_size):
            batch = list(group)
            output = self.infer(batch)
            for i, prepared in enumerate(batch):
                height, width = prepared.image.shape[:2]
                yield to_prediction(output, i, (height, width))


def to_prediction(output: Output, index: int, image_size: tuple[int, int]) -> Prediction:
    """Return row `index` of `output` for a photo of `image_size` (height, width)."""
    density = distribution = score = score_std = None
    if output.log_density is not None:
        height, width = image_size
        # cv2 and NumPy from here: on single maps they start faster than torch.
        small = np.exp(output.log_density[index].numpy())
        shrinks = height < small.shape[0] or width < small.shape[1]
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        density = normalize_density(cv2.resize(small, (width, height), interpolation=interpolation))
    if output.score_logits is not None:
        probabilities: NDArray[np.float64] = (
            output.score_logits[index].double().softmax(dim=0).numpy()
        )
        score = float(probabilities @ SCORES)
        score_std = float(np.sqrt(probabilities @ (SCORES - score) ** 2))
        distribution = probabilities.astype(np.float32)
    return Prediction(image_size, density, score, score_std, distribution)
