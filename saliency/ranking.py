"""Photos by score: percentile, stars, and the best of those that show nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saliency.calibration import Calibration
from saliency.insights import find_near_duplicates
from saliency.score_reference import ScoreReference
from saliency.scoring import ScoredPhoto


@dataclass(frozen=True, slots=True)
class RankedPhoto:
    """A photo among others.

    Attributes:
        rank: 1 for the best, then 2, 3, ...
        path: The photo.
        score: Mean aesthetic score, 1..10.
        percentile: Share of the reference photos, in percent, with a lower score: 0..100; None
            without a reference.
        stars: 1..5, one for each fifth of the reference photos; None without a reference.
        rating: The score on one's own scale; None without a calibration.
        group: Number, from 1, of the group of near-duplicates that it is in; None if it is in none.
        best: Whether no near-duplicate has a better score; so too for a photo without any.
    """

    rank: int
    path: Path
    score: float
    percentile: float | None
    stars: int | None
    rating: float | None
    group: int | None
    best: bool


def rank_photos(
    photos: Sequence[ScoredPhoto],
    reference: ScoreReference | None = None,
    calibration: Calibration | None = None,
) -> list[RankedPhoto]:
    """Order photos by score, the best first; equal ones stay in the order given.

    A calibration is monotone, so it changes no order.
    """
    hashes = [photo.perceptual_hash for photo in photos]
    groups = find_near_duplicates(hashes, [photo.score for photo in photos])
    group_of = {index: number for number, group in enumerate(groups, 1) for index in group}
    bests = {group[0] for group in groups}
    ranked = []
    for rank, index in enumerate(sorted(range(len(photos)), key=lambda i: -photos[i].score), 1):
        path, score, _ = photos[index]
        ranked.append(
            RankedPhoto(
                rank=rank,
                path=path,
                score=score,
                percentile=reference.to_percentile(score) if reference else None,
                stars=reference.to_stars(score) if reference else None,
                rating=calibration.apply(score) if calibration else None,
                group=group_of.get(index),
                best=index in bests or index not in group_of,
            )
        )
    return ranked
