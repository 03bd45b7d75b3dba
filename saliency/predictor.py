"""Photo in, Prediction out: the one path for library, command line, evaluation and validation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from saliency.checkpoint import Card, Checkpoint, load_checkpoint, released_weights
from saliency.devices import resolve_device
from saliency.fixations import normalize_density
from saliency.images import ImageSource, read_image
from saliency.types import SCORES, Output, Prediction

BATCH_SIZE = 8


class Predictor:
    """A loaded network that turns photos into predictions.

    Example:
        >>> predictor = Predictor.load()  # doctest: +SKIP
        >>> prediction = predictor.predict("photo.jpg")  # doctest: +SKIP
        >>> prediction.density.shape, prediction.score  # doctest: +SKIP
        ((3024, 4032), 6.1)
    """

    def __init__(self, checkpoint: Checkpoint, device: str | torch.device = "auto") -> None:
        self.device = resolve_device(device) if isinstance(device, str) else device
        self.preprocessing = checkpoint.preprocessing
        self.card: Card = checkpoint.card
        self.network = checkpoint.network.eval().to(self.device)
        self.network.to(memory_format=torch.channels_last)

    @classmethod
    def load(cls, weights: str | os.PathLike[str] | None = None, device: str = "auto") -> Predictor:
        """Load a checkpoint.

        Args:
            weights: A checkpoint of this project; None for the released weights.
            device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

        Raises:
            CheckpointError: The file is missing, damaged or foreign.
            DeviceError: The device is unknown or absent.
        """
        found = resolve_device(device)  # before the slower loading
        path = released_weights() if weights is None else Path(weights)
        return cls(load_checkpoint(path), found)

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
        waiting: list[NDArray[np.uint8]] = []
        for source in images:
            waiting.append(read_image(source))
            if len(waiting) == batch_size:
                yield from self._predict_arrays(waiting)
                waiting = []
        yield from self._predict_arrays(waiting)

    def _predict_arrays(self, images: list[NDArray[np.uint8]]) -> Iterator[Prediction]:
        """Predict decoded photos; neighbours of one orientation go through together."""

        def network_size(image: NDArray[np.uint8]) -> tuple[int, int]:
            height, width = image.shape[:2]
            return self.preprocessing.network_size((height, width))

        for _, group in groupby(images, key=network_size):
            batch = list(group)
            inputs = torch.stack([self.preprocessing.to_input(image) for image in batch])
            output = self._run(inputs)
            for i, image in enumerate(batch):
                height, width = image.shape[:2]
                yield to_prediction(output, i, (height, width))

    @torch.inference_mode()
    def _run(self, inputs: torch.Tensor) -> Output:
        """Return the network's output for (B, 3, h, w) as float32 on the CPU."""
        inputs = inputs.to(self.device, memory_format=torch.channels_last)
        output: Output = self.network(inputs)
        return Output(
            None if output.log_density is None else output.log_density.float().cpu(),
            None if output.score_logits is None else output.score_logits.float().cpu(),
        )


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
