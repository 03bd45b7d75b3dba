"""Figures to time: the forward pass, the steps around it, and photos from file to prediction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile

from saliency.bench.photos import BenchPhoto
from saliency.bench.timing import Figure, Label
from saliency.devices import count_cores
from saliency.images import read_image
from saliency.predictor import BATCH_SIZE, Predictor, to_prediction
from saliency.preprocessing import resize
from saliency.rendering import to_overlay
from saliency.sizes import fit_within

EAGER = "eager"
REDUCTIONS = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
OVERLAY_SIDE_PX = 640
"""Longer side of the overlay that is drawn, as for a page."""

PHOTOS_A_CORE = 4
"""Photos for each core: enough that waiting at the start and at the end hardly matters."""


def forward_figures(
    predictors: Mapping[str, Predictor],
    photo: BenchPhoto,
    batch_sizes: Sequence[int],
    one_thread: bool,
) -> list[Figure]:
    """Return a figure for the forward pass of each backend with each batch size."""
    figures = []
    for name, predictor in predictors.items():
        prepared = predictor.prepare(photo.jpeg)
        for size in batch_sizes:
            label = Label("forward", name, batch_size=size, one_thread=one_thread)
            figures.append(Figure(label, partial(predictor.infer, [prepared] * size), size))
    return figures


def photo_figures(predictor: Predictor, photo: BenchPhoto) -> list[Figure]:
    """Return the steps whose cost depends on the photo's size but not on the backend.

    Those called `bare` only decode; the scaled ones to no more pixels than the network needs.
    `decode` reads the whole photo; `prepare` decodes and preprocesses as predicting does, and
    `preprocess` is the part of it after the decoder. `density` is `to_prediction` with the
    density at the photo's own size.
    """
    jpeg, size = photo.jpeg, photo.size
    encoded = np.frombuffer(jpeg, np.uint8)
    prepared = predictor.prepare(jpeg)
    output = predictor.infer([prepared])
    small = fit_within(size, OVERLAY_SIDE_PX)
    picture = resize(prepared.image, small)

    def render() -> object:
        density = to_prediction(output, 0, small, predictor.attributes).density
        return None if density is None else to_overlay(picture, density)

    calls: dict[str, Callable[[], object]] = {
        "bare whole pillow": lambda: decode_with_pillow(jpeg),
        "bare whole opencv": lambda: cv2.imdecode(encoded, cv2.IMREAD_COLOR),
    }
    side_px = predictor.preprocessing.height
    if (reduction := find_reduction(size, side_px)) > 1:
        calls["bare scaled pillow"] = lambda: decode_with_pillow(jpeg, side_px)
        calls["bare scaled opencv"] = lambda: cv2.imdecode(encoded, REDUCTIONS[reduction])
    calls |= {
        "decode": lambda: read_image(jpeg),
        "prepare": lambda: predictor.prepare(jpeg),
        "preprocess": lambda: predictor.prepare(prepared.image),
        "to_prediction": lambda: to_prediction(output, 0, size, predictor.attributes),
        "density": lambda: to_prediction(output, 0, size, predictor.attributes).density,
        "render": render,
    }
    return [
        Figure(Label(stage, megapixels=photo.megapixels, one_thread=True), call)
        for stage, call in calls.items()
    ]


def decode_with_pillow(jpeg: bytes, min_side_px: int | None = None) -> NDArray[np.uint8]:
    """Decode to (H, W, 3) uint8 RGB.

    Args:
        jpeg: The content of the file.
        min_side_px: Least number of pixels of the shorter side to keep; None: all.
    """
    image = JpegImageFile(BytesIO(jpeg))
    if min_side_px is not None:
        image.draft("RGB", (min_side_px, min_side_px))
    return np.asarray(image)


def find_reduction(size: tuple[int, int], min_side_px: int) -> int:
    """Return the largest JPEG scaling that leaves the shorter side `min_side_px` pixels."""
    return max((f for f in REDUCTIONS if min(size) >= f * min_side_px), default=1)


@dataclass(frozen=True)
class Contender:
    """A backend, loaded twice.

    Attributes:
        predictor: Predictor with the user's settings.
        alone: Predictor for one thread.
    """

    predictor: Predictor
    alone: Predictor

    def figures(self, name: str, photo: BenchPhoto) -> list[Figure]:
        """Return `predict_many`, and each of its steps alone on one thread.

        On a GPU, which gains from batches, the step is a forward pass of a whole batch (wall time).
        """
        alone, on_gpu = self.alone, self.alone.device.type != "cpu"
        prepared = alone.prepare(photo.jpeg)
        output = alone.infer([prepared])
        batch = [prepared] * (BATCH_SIZE if on_gpu else 1)
        many = [photo.jpeg] * (PHOTOS_A_CORE * count_cores())
        labels = (name, photo.megapixels, None)
        return [
            Figure(Label("prepare", *labels, True), partial(alone.prepare, photo.jpeg)),
            Figure(Label("forward", *labels, not on_gpu), partial(alone.infer, batch), len(batch)),
            Figure(
                Label("to_prediction", *labels, True),
                partial(to_prediction, output, 0, photo.size),
            ),
            Figure(
                Label("predict_many", *labels),
                lambda: deque(self.predictor.predict_many(many), maxlen=0),
                len(many),
            ),
        ]
