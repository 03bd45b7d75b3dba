"""Relate where people look to how they rate a photo, before any multitask learning.

No set has both labels, so each label is compared with a prediction of the other: ratings with
predicted densities, and fixations with predicted scores.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from saliency.datasets import LabelledDataset, OsieDataset
from saliency.datasets.sets import groups_of
from saliency.errors import ImageError
from saliency.fixations import to_density
from saliency.insights.summary import summarize
from saliency.metrics import Interval, bootstrap_interval, cc, srcc
from saliency.predictor import Predictor
from saliency.types import SCORES, Fixations, Sample

STATISTICS = {
    "entropy": "how spread attention is, 0 (one place) to 1 (even)",
    "concentration": "share of attention in the most attended tenth of the area",
    "center_distance": "mean distance of attention from the middle, in half diagonals",
    "agreement": "CC of the densities of two halves of the viewers",
}
"""Statistics of a density, and of its viewers where they are known."""

MINIMUM_VIEWERS = 4
"""Least number of viewers for comparing two halves of them."""


@dataclass(frozen=True)
class Relation:
    """Rank correlation of one statistic of attention with scores.

    Attributes:
        photos: Description of the photos.
        statistic: Name of the statistic, a key of `STATISTICS`.
        images: Number of images.
        srcc: Spearman's rank correlation.
        interval: Its 95 % bootstrap interval; whole themes are resampled where there are any.
    """

    photos: str
    statistic: str
    images: int
    srcc: float
    interval: Interval


@dataclass
class _Rows:
    """One row for each photo."""

    statistics: dict[str, list[float]] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def add(self, statistics: dict[str, float], score: float, group: str) -> None:
        for name, value in statistics.items():
            self.statistics.setdefault(name, []).append(value)
        self.scores.append(score)
        self.groups.append(group)

    def relate(self, photos: str) -> list[Relation]:
        scores, groups = np.array(self.scores), np.array(self.groups)
        relations = []
        for name, values in self.statistics.items():
            column = np.array(values)
            interval = bootstrap_interval(srcc, column, scores, groups=groups)
            value = float(srcc(column, scores))
            relations.append(Relation(photos, name, len(column), value, interval))
        return relations


def relate_rated(
    dataset: LabelledDataset, predictor: Predictor, on_image: Callable[[], None] | None = None
) -> list[Relation]:
    """Relate the predicted density of rated photos to their ratings.

    Args:
        dataset: Photos with ratings.
        predictor: Predictor with a saliency head. It should never have seen a rating, or its maps
            may depend on its scores.
        on_image: Called after each photo.
    """
    rows = _Rows()
    groups = groups_of(dataset)
    for index, sample in _samples(dataset, range(len(dataset))):
        density = predictor.predict(sample.image).density
        if density is not None and sample.score_distribution is not None:
            score = float(sample.score_distribution @ SCORES)
            group = groups[index] if groups is not None else str(index)
            rows.add(describe(density), score, group)
        if on_image:
            on_image()
    return rows.relate(dataset.name)


def relate_viewed(
    dataset: OsieDataset,
    predictor: Predictor,
    ids: Collection[str],
    on_image: Callable[[], None] | None = None,
) -> list[Relation]:
    """Relate the measured density of photos to their predicted scores.

    Args:
        dataset: Photos with each viewer's fixations.
        predictor: Predictor with an aesthetic head. It should never have seen a fixation.
        ids: The photos to look at.
        on_image: Called after each photo.
    """
    rows = _Rows()
    wanted = [index for index, image_id in enumerate(dataset.ids) if image_id in ids]
    for index, sample in _samples(dataset, wanted):
        size = (sample.image.shape[0], sample.image.shape[1])
        score = predictor.predict(sample.image).score
        agreed = agreement(dataset.viewers(index, size), size)
        if sample.density is not None and score is not None and agreed is not None:
            rows.add(describe(sample.density) | {"agreement": agreed}, score, str(index))
        if on_image:
            on_image()
    return rows.relate(dataset.name)


def describe(density: NDArray[np.float32]) -> dict[str, float]:
    """Return the statistics of (H, W) `density` that do not need viewers."""
    summary = summarize(density)
    height, width = density.shape
    rows = (np.arange(height) + 0.5 - height / 2)[:, None]
    columns = (np.arange(width) + 0.5 - width / 2)[None, :]
    distance = np.hypot(rows, columns) / (np.hypot(height, width) / 2)
    return {
        "entropy": summary.entropy,
        "concentration": summary.concentration,
        "center_distance": float((density * distance).sum() / density.sum()),
    }


def agreement(viewers: Iterable[Fixations], size: tuple[int, int]) -> float | None:
    """Return CC between the densities of two halves of the viewers, taken alternately.

    Args:
        viewers: Fixations of each viewer.
        size: (height, width) of the image.

    Returns:
        -1..1, or None where fewer than four viewers fixated anything.
    """
    looked = [viewer for viewer in viewers if len(viewer.xs)]
    if len(looked) < MINIMUM_VIEWERS:
        return None
    densities = []
    for half in (looked[::2], looked[1::2]):
        xs = np.concatenate([viewer.xs for viewer in half])
        ys = np.concatenate([viewer.ys for viewer in half])
        densities.append(to_density(Fixations(xs, ys), size))
    first, second = densities
    return None if first is None or second is None else cc(first, second)


def _samples(dataset: LabelledDataset, indices: Iterable[int]) -> Iterator[tuple[int, Sample]]:
    """Yield the images that can be read, with their numbers."""
    for index in indices:
        try:
            sample = dataset[index]
        except ImageError:
            continue
        yield index, sample
