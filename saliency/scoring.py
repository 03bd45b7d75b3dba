"""A Predictor over files -> scores, without pictures: what ranking and calibration begin with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.devices import count_cores
from saliency.errors import ImageError, InsightError
from saliency.insights import to_perceptual_hash
from saliency.predictor import Predictor, PreparedImage
from saliency.threads import map_ahead, split_groups


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
    predictor: Predictor, paths: Iterable[Path], batch_size: int | None = None
) -> Iterator[ScoredPhoto | UnreadPhoto]:
    """Score photos; one that cannot be read does not stop the others.

    Args:
        predictor: With an aesthetic head.
        paths: The photos.
        batch_size: As for `Predictor.predict_many`.

    Yields:
        One outcome a path, in order.

    Raises:
        InsightError: The network has no aesthetic head.
    """

    def score_group(group: Sequence[Path]) -> list[ScoredPhoto | UnreadPhoto]:
        read = [_try_prepare(predictor, path) for path in group]
        photos = [photo for photo in read if isinstance(photo, PreparedImage)]
        predictions = iter(predictor.predict_prepared(photos))
        return [
            ScoredPhoto(path, require_score(next(predictions).score), to_perceptual_hash(one.image))
            if isinstance(one, PreparedImage)
            else UnreadPhoto(path, one)
            for path, one in zip(group, read, strict=True)
        ]

    groups = split_groups(paths, batch_size or predictor.batch_size)
    for outcomes in map_ahead(score_group, groups, count_cores()):
        yield from outcomes


def require_score(score: float | None) -> float:
    """Return `Prediction.score`, or say why there is none.

    Raises:
        InsightError: The network has no aesthetic head.
    """
    if score is None:
        raise InsightError("The network should have an aesthetic head. Found a saliency one alone.")
    return score


def _try_prepare(predictor: Predictor, path: Path) -> PreparedImage | str:
    """Return the photo, ready for the network, or why there is none."""
    try:
        return predictor.prepare(path)
    except ImageError as error:
        return str(error)
