"""Scores of photos without pictures, the first step of ranking and calibration."""

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
from saliency.records import Record, to_record
from saliency.threads import map_ahead, split_groups
from saliency.types import Prediction


class ScoredPhoto(NamedTuple):
    """A photo that was scored.

    Attributes:
        path: The photo.
        record: Its record.
        score: Mean aesthetic score, 1..10; the record's, which here is never None.
        perceptual_hash: (144,) bool; near-duplicates differ in few of them.
    """

    path: Path
    record: Record
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
        predictor: A predictor with an aesthetic head.
        paths: The photos.
        batch_size: As for `Predictor.predict_many`.

    Yields:
        One outcome per path, in order.

    Raises:
        InsightError: The network has no aesthetic head.
    """

    def score_group(group: Sequence[Path]) -> list[ScoredPhoto | UnreadPhoto]:
        read = [_try_prepare(predictor, path) for path in group]
        photos = [photo for photo in read if isinstance(photo, PreparedImage)]
        predictions = iter(predictor.predict_prepared(photos))
        return [
            _to_scored(path, one, next(predictions))
            if isinstance(one, PreparedImage)
            else UnreadPhoto(path, one)
            for path, one in zip(group, read, strict=True)
        ]

    groups = split_groups(paths, batch_size or predictor.batch_size)
    for outcomes in map_ahead(score_group, groups, count_cores()):
        yield from outcomes


def _to_scored(path: Path, photo: PreparedImage, prediction: Prediction) -> ScoredPhoto:
    record = to_record(str(path), prediction, photo.measured)
    return ScoredPhoto(path, record, require_score(record.score), to_perceptual_hash(photo.image))


def require_score(score: float | None) -> float:
    """Return `score` unless it is None.

    Raises:
        InsightError: The network has no aesthetic head.
    """
    if score is None:
        raise InsightError("The network should have an aesthetic head. Found only a saliency head.")
    return score


def _try_prepare(predictor: Predictor, path: Path) -> PreparedImage | str:
    """Return the photo, ready for the network, or the reason why it cannot be read."""
    try:
        return predictor.prepare(path)
    except ImageError as error:
        return str(error)
