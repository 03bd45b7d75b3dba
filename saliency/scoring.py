"""A Predictor over files -> scores, without pictures: what ranking and calibration begin with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ImageError, InsightError
from saliency.images import read_image
from saliency.insights import to_perceptual_hash
from saliency.predictor import BATCH_SIZE, Predictor


class ScoredPhoto(NamedTuple):
    """A photo that was looked at.

    Attributes:
        path: The photo.
        score: Mean aesthetic score, 1..10.
        perceptual_hash: (144,) bool, to find near-duplicates by.
    """

    path: Path
    score: float
    perceptual_hash: NDArray[np.bool_]


class UnreadPhoto(NamedTuple):
    """A photo that could not be read, and why."""

    path: Path
    error: str


def score_photos(
    predictor: Predictor, paths: Iterable[Path], batch_size: int = BATCH_SIZE
) -> Iterator[ScoredPhoto | UnreadPhoto]:
    """Score photos; one that cannot be read does not stop the others.

    Yields:
        One outcome a path, in order.

    Raises:
        InsightError: The network has no aesthetic head.
    """
    waiting = iter(paths)
    # Decoding releases the interpreter, so threads share the cores.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while group := list(islice(waiting, batch_size)):
            images = list(pool.map(_try_read, group))
            readable = [image for image in images if not isinstance(image, str)]
            scores = (
                require_score(prediction.score)
                for prediction in predictor.predict_many(readable, batch_size)
            )
            for path, image in zip(group, images, strict=True):
                if isinstance(image, str):
                    yield UnreadPhoto(path, image)
                else:
                    yield ScoredPhoto(path, next(scores), to_perceptual_hash(image))


def require_score(score: float | None) -> float:
    """Return `Prediction.score`, or say why there is none.

    Raises:
        InsightError: The network has no aesthetic head.
    """
    if score is None:
        raise InsightError("The network should have an aesthetic head. Found a saliency one alone.")
    return score


def _try_read(path: Path) -> NDArray[np.uint8] | str:
    """Return the photo's pixels, or why there are none."""
    try:
        return read_image(path)
    except ImageError as error:
        return str(error)
