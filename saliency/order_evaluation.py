"""Evaluate on spoilt copies of photos: how often a copy scores lower than its photo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saliency.distortions import DISTORTIONS
from saliency.errors import ImageError
from saliency.evaluation import LabelledImages, PredictsMany
from saliency.metrics import Interval, bootstrap_interval

SEVERITIES = (1 / 3, 1.0)
"""Severities: mild, visible in comparison with the photo, and bad."""

ALL_KINDS = "all kinds"
"""Name of the rows over all distortions."""


@dataclass(frozen=True)
class OrderShare:
    """How often copies that are spoilt in one way score lower than their photo.

    Attributes:
        kind: Name of the distortion, or `ALL_KINDS`.
        severity: Severity, 0..1.
        photos: Number of photos that were compared with a copy.
        share: Share of the copies that score lower, 0..1; .5 is chance.
        interval: 95 % bootstrap interval over photos, or over groups if they are given.
        drop: Mean points by which a copy scores lower.
    """

    kind: str
    severity: float
    photos: int
    share: float
    interval: Interval
    drop: float


def measure_order(
    predictor: PredictsMany,
    dataset: LabelledImages,
    *,
    kinds: Sequence[str] = tuple(DISTORTIONS),
    severities: Sequence[float] = SEVERITIES,
    groups: Sequence[str] | None = None,
    limit: int | None = None,
    on_image: Callable[[], None] | None = None,
) -> list[OrderShare]:
    """Spoil each photo of a set in every way and compare its scores.

    Args:
        predictor: Predictor to measure, with an aesthetic head.
        dataset: Photos; their labels are not used. Damaged ones are skipped.
        kinds: Names of the distortions.
        severities: Severities to spoil with, each 0..1.
        groups: One label for each photo; photos of a group are resampled together.
        limit: Most photos, spread evenly over the set.
        on_image: Called after each photo with all its copies.

    Returns:
        One row for each kind and severity; rows over all kinds come first.
    """
    names = list(groups) if groups is not None else [str(i) for i in range(len(dataset))]
    step = 1 if limit is None else max(1, -(-len(dataset) // limit))
    chosen: list[str] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for index in range(0, len(dataset), step):
            try:
                photo = dataset[index].image
            except ImageError:
                continue  # `evaluate` reports it
            chosen.append(names[index])
            rng = np.random.default_rng(index)
            yield photo
            for kind in kinds:
                for severity in severities:
                    yield DISTORTIONS[kind](photo, severity, rng)

    scores: list[float] = []
    rows = 1 + len(kinds) * len(severities)
    for prediction in predictor.predict_many(pictures(), None):
        if prediction.score is None:
            return []
        scores.append(prediction.score)
        if on_image and len(scores) % rows == 0:
            on_image()
    table = np.array(scores).reshape(len(chosen), rows)
    drops = (table[:, :1] - table[:, 1:]).reshape(len(chosen), len(kinds), len(severities))
    themes = np.array(chosen)
    shares = []
    for column, severity in enumerate(severities):
        all_drops = drops[:, :, column]
        shares.append(_to_share(ALL_KINDS, severity, all_drops, themes))
    for row, kind in enumerate(kinds):
        for column, severity in enumerate(severities):
            shares.append(_to_share(kind, severity, drops[:, row, column][:, None], themes))
    return shares


def _to_share(
    kind: str, severity: float, drops: NDArray[np.float64], themes: NDArray[np.str_]
) -> OrderShare:
    """Summarize (photos, kinds) drops."""
    lower = (drops > 0).mean(axis=1)
    interval = bootstrap_interval(np.mean, lower, groups=themes)
    return OrderShare(
        kind, severity, len(drops), float(lower.mean()), interval, float(drops.mean())
    )
