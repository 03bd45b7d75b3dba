"""Ratings on any scale, and what becomes of them on the ten bins of AVA's votes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saliency.errors import DatasetError
from saliency.types import SCORE_BINS

CELL_POINTS = 60
"""Points that stand for the even spread of a rating over its cell."""


class Rating(NamedTuple):
    """What people said of one image, on their own scale.

    Attributes:
        low: Worst rating of the scale.
        high: Best rating of the scale.
        votes: (high - low + 1,) how many gave low, low + 1, ..., high; None if that is not known.
        score: Mean rating, where the votes are not known.
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

    A rating r stands at s = 1 + 9 (r - low) / (high - low) on the scale 1..10, in general
    between two bins. Its votes are split between these two in proportion to nearness, so that
    the mean of the ten bins is the mean rating under the same map, exactly. (The price is a
    variance that grows by at most 1/4.)

    On a scale coarser than ten, whose ratings would leave gaps between them, a rating stands for
    everything nearer to it than to its neighbours: its votes are first spread evenly over that
    cell (step^2 / 12 more variance). The worst and the best rating stay at the ends, where
    nothing could balance them.

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
        raise DatasetError(f"`counts` should be >= 0 with a vote at least. Found {votes.tolist()}.")
    step = (SCORE_BINS - 1) / (high - low)
    ratings = np.arange(low, high + 1, dtype=np.float64)
    if step <= 1:
        return _split(ratings, votes / votes.sum(), low, high)
    offsets = (np.arange(CELL_POINTS) + 0.5) / CELL_POINTS - 0.5  # symmetric, so means are kept
    inside = ratings[1:-1, None] + offsets
    spread = np.concatenate([ratings[:1], inside.ravel(), ratings[-1:]])
    masses = np.concatenate(
        [votes[:1], np.repeat(votes[1:-1], CELL_POINTS) / CELL_POINTS, votes[-1:]]
    )
    return _split(spread, masses / votes.sum(), low, high)


def score_to_ten_bins(score: float, low: float, high: float) -> NDArray[np.float64]:
    """Map a mean rating on low..high to a distribution over 1..10 with the same mean.

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
    return _split(np.array([score]), np.ones(1), low, high)


def _split(
    ratings: NDArray[np.float64], masses: NDArray[np.float64], low: float, high: float
) -> NDArray[np.float64]:
    positions = (ratings - low) / (high - low) * (SCORE_BINS - 1)  # 0..9
    lower = np.clip(np.floor(positions), 0, SCORE_BINS - 2).astype(np.int64)
    to_upper = positions - lower
    bins = np.zeros(SCORE_BINS)
    np.add.at(bins, lower, masses * (1 - to_upper))
    np.add.at(bins, lower + 1, masses * to_upper)
    return bins
