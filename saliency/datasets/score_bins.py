"""Ratings on any scale, and their mapping to the ten bins of AVA's votes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saliency.errors import DatasetError
from saliency.types import SCORE_BINS

CELL_POINTS = 60
"""Number of points that represent the even spread of a rating over its part of the scale."""

MIDDLE = (1 + SCORE_BINS) / 2
"""Middle of the scale 1..10."""


class Rating(NamedTuple):
    """The rating of one image, on the scale of its raters.

    Attributes:
        low: Worst rating of the scale.
        high: Best rating of the scale.
        votes: (high - low + 1,) number of votes low, low + 1, ..., high; None if unknown.
        score: Mean rating, if the votes are unknown.
    """

    low: float
    high: float
    votes: tuple[float, ...] | None = None
    score: float | None = None

    def to_distribution(self) -> NDArray[np.float32]:
        """Return the (K,) distribution over 1..10, which sums to 1.

        Raises:
            DatasetError: If votes or score do not fit the scale.
        """
        if self.votes is not None:
            return to_ten_bins(self.votes, int(self.low), int(self.high)).astype(np.float32)
        if self.score is not None:
            return score_to_ten_bins(self.score, self.low, self.high).astype(np.float32)
        raise DatasetError("A rating should have votes or a score. Found neither.")


def to_ten_bins(counts: ArrayLike, low: int, high: int) -> NDArray[np.float64]:
    """Map a histogram of the ratings low, low + 1, ..., high to a distribution over 1..10.

    A rater who answers 3 of 7 means something between 2.5 and 3.5. So on a scale of n < 10
    ratings each stands for an equal part of the whole, as each of the ten bins does: its votes are
    spread evenly over 10 / n points around `5.5 + 10 / n (r - middle)`. Even votes give even
    bins, and a smooth histogram a smooth one. The mean follows the same line, but for what lies
    beyond the middle of the outer bins: at most .09 points, if all chose an end.

    On a scale of ten ratings or more the ends stand at 1 and 10, as AVA's votes do, and the mean
    is kept exactly. Votes between two bins are shared between these in proportion to nearness.

    Args:
        counts: (high - low + 1,) votes, >= 0.
        low: Worst rating of the scale.
        high: Best rating of the scale.

    Returns:
        (K,) float64, sums to 1.

    Raises:
        DatasetError: If the counts do not fit the scale or hold no vote.
    """
    votes = np.asarray(counts, dtype=np.float64)
    if high <= low:
        raise DatasetError(f"`high` should be above `low`. Found {low}..{high}.")
    if votes.shape != (high - low + 1,):
        raise DatasetError(
            f"`counts` should have one entry for each of {low}..{high}. Found shape {votes.shape}."
        )
    if not np.isfinite(votes).all() or (votes < 0).any() or votes.sum() <= 0:
        raise DatasetError(
            f"`counts` should be >= 0 with at least one vote. Found {votes.tolist()}."
        )
    shares = votes / votes.sum()
    ratings = np.arange(low, high + 1, dtype=np.float64)
    if len(ratings) >= SCORE_BINS:
        return _split(_from_ends(ratings, low, high), shares)
    inside = (np.arange(CELL_POINTS) + 0.5) / CELL_POINTS - 0.5
    spread = (ratings[:, None] + inside - (low + high) / 2) * SCORE_BINS / len(ratings)
    return _split(MIDDLE + spread.ravel(), np.repeat(shares, CELL_POINTS) / CELL_POINTS)


def score_to_ten_bins(score: float, low: float, high: float) -> NDArray[np.float64]:
    """Map a mean rating on low..high to a distribution over 1..10, the ends to 1 and 10.

    A mean alone does not show how coarse the scale was.

    Args:
        score: Mean rating, between `low` and `high`.
        low: Worst rating of the scale.
        high: Best rating of the scale.

    Returns:
        (K,) float64, sums to 1, non-zero in the two bins next to the mean.

    Raises:
        DatasetError: If the score is not on the scale.
    """
    if not low <= score <= high or high <= low:
        raise DatasetError(f"`score` should be within {low}..{high}. Found {score}.")
    return _split(_from_ends(np.array([score]), low, high), np.ones(1))


def _from_ends(ratings: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return 1 + (ratings - low) / (high - low) * (SCORE_BINS - 1)


def _split(scores: NDArray[np.float64], masses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distribute masses at `scores` over the two nearest bins."""
    positions = np.clip(scores - 1, 0, SCORE_BINS - 1)
    lower = np.clip(np.floor(positions), 0, SCORE_BINS - 2).astype(np.int64)
    to_upper = positions - lower
    bins = np.zeros(SCORE_BINS)
    np.add.at(bins, lower, masses * (1 - to_upper))
    np.add.at(bins, lower + 1, masses * to_upper)
    return bins
