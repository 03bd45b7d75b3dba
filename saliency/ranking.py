"""Photos ordered by score, with percentile, stars and the best of near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saliency.batch.scoring import ScoredPhoto
from saliency.calibration import Calibration
from saliency.insights import Quality, find_near_duplicates
from saliency.records import Record
from saliency.score_reference import ScoreReference

SHARPNESS_POINTS = 4.0
"""Points lost by a photo without any sharpness, compared with the sharpest near-duplicate."""

HIGHLIGHT_POINTS, SHADOW_POINTS = 6.0, 2.0
"""Points lost if everything that people look at is clipped or black, and in another photo nothing.
"""

NOISE_POINTS = 0.1
"""Points lost for each level of noise more than in the cleanest photo."""

FLAWED_STARS = 3
"""Largest number of stars of a photo with a flaw where people look."""


@dataclass(frozen=True, slots=True)
class RankedPhoto:
    """A photo among others.

    Attributes:
        rank: 1 for the best, then 2, 3, ...
        path: The photo.
        record: Its record.
        score: Mean aesthetic score, 1..10.
        percentile: Share of the reference photos, in percent, with a lower score: 0..100; None
            without a reference.
        stars: 1..5, one for each fifth of the reference photos, but at most `FLAWED_STARS` for a
            photo with flaws; None without a reference, and for a file that is no picture.
        rating: The score on the user's own scale; None without a calibration.
        group: Number, from 1, of the group of near-duplicates that it is in; None if it is in none.
        best: Whether it is the best of its group, see `choose_best`; True for a photo without
            near-duplicates.
    """

    rank: int
    path: Path
    record: Record
    score: float
    percentile: float | None
    stars: int | None
    rating: float | None
    group: int | None
    best: bool

    @property
    def flaws(self) -> str:
        """Technical flaws where people look; "" if there are none or none were measured."""
        return self.record.quality.flaws if self.record.quality else ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the rank, followed by those of the record."""
        return {
            "rank": self.rank,
            "percentile": self.percentile,
            "stars": self.stars,
            "rating": self.rating,
            "group": self.group,
            "best": self.best,
            **self.record.to_json(),
        }


def choose_best(photos: Sequence[ScoredPhoto]) -> int:
    """Return the index of the best of several photos that show nearly the same.

    From each score, points are taken off by comparison with the technically best of the photos:
    `SHARPNESS_POINTS` times the share of sharpness that is missing, `HIGHLIGHT_POINTS` and
    `SHADOW_POINTS` times the additional share of attention on clipped pixels, `NOISE_POINTS` for
    each additional level of noise. Only photos that show the same can be compared so closely. A
    file that is no picture comes last. The first of equal photos wins.
    """
    known = [photo.record.quality for photo in photos]
    measured = [quality for quality in known if quality is not None]
    sharpest = max((q.sharpness for q in measured if q.sharpness is not None), default=None)
    highlights = min((q.clipped_highlights for q in measured), default=0.0)
    shadows = min((q.clipped_shadows for q in measured), default=0.0)
    noise = min((q.noise for q in measured), default=0.0)

    def worth(photo: ScoredPhoto) -> float:
        quality = photo.record.quality
        if quality is None:
            return photo.score
        if not quality.has_content:
            return float("-inf")
        lost = HIGHLIGHT_POINTS * (quality.clipped_highlights - highlights)
        lost += SHADOW_POINTS * (quality.clipped_shadows - shadows)
        lost += NOISE_POINTS * (quality.noise - noise)
        if sharpest:
            lost += SHARPNESS_POINTS * (1 - (quality.sharpness or 0.0) / sharpest)
        return photo.score - lost

    return max(range(len(photos)), key=lambda number: worth(photos[number]))


def rank_photos(
    photos: Sequence[ScoredPhoto],
    reference: ScoreReference | None = None,
    calibration: Calibration | None = None,
) -> list[RankedPhoto]:
    """Order photos by score, the best first; photos of equal score stay in the order given.

    Files that are no picture (one colour, mere noise) come last, whatever their score. A
    calibration is monotone, so it does not change the order.
    """
    hashes = [photo.perceptual_hash for photo in photos]
    groups = find_near_duplicates(hashes, [photo.score for photo in photos])
    group_of = {index: number for number, group in enumerate(groups, 1) for index in group}
    bests = {group[choose_best([photos[index] for index in group])] for group in groups}

    def place(index: int) -> tuple[bool, float]:
        return not photos[index].record.has_content, -photos[index].score

    ranked = []
    for rank, index in enumerate(sorted(range(len(photos)), key=place), 1):
        path, record, score, _ = photos[index]
        ranked.append(
            RankedPhoto(
                rank=rank,
                path=path,
                record=record,
                score=score,
                percentile=reference.to_percentile(score) if reference else None,
                stars=_to_stars(reference, score, record.quality) if reference else None,
                rating=calibration.apply(score) if calibration else None,
                group=group_of.get(index),
                best=index in bests or index not in group_of,
            )
        )
    return ranked


def _to_stars(reference: ScoreReference, score: float, quality: Quality | None) -> int | None:
    if quality is None:
        return reference.to_stars(score)
    if not quality.has_content:
        return None
    stars = reference.to_stars(score)
    return min(stars, FLAWED_STARS) if quality.flaws else stars
