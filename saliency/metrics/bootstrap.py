"""Confidence intervals by resampling images."""

from collections.abc import Callable
from typing import Any, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


def bootstrap_interval(
    statistic: Callable[..., SupportsFloat],
    *columns: NDArray[Any],
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bound a statistic by the percentile bootstrap over images.

    `bootstrap_interval(np.mean, nss_values)` bounds a mean over images and
    `bootstrap_interval(srcc, predicted_scores, target_scores)` a correlation; all columns are
    resampled together, so `lambda a, b: np.mean(a - b)` compares two models on the same images.

    Args:
        statistic: Function from the resampled columns to a number.
        columns: Arrays with one row for each image, (N, ...).
        groups: (N,) labels of images that are not independent of each other, such as
            near-duplicates or photos of one theme. Whole groups are resampled then.
        level: Share of the distribution inside the interval, between 0 and 1.
        resamples: Number of resamples.
        seed: Seed of the random numbers: the same seed gives the same interval.

    Raises:
        ValueError: There is no image, the columns or groups differ in length, `level` is not
            between 0 and 1, or `resamples` is below 1.

    Source: Efron, Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
    """
    lengths = [len(column) for column in columns]
    if groups is not None:
        lengths.append(len(groups))
    if not columns or len(set(lengths)) != 1 or lengths[0] == 0:
        raise ValueError(
            "`columns` and `groups` should have the same number of rows, at least 1. "
            f"Found {lengths}."
        )
    if not 0 < level < 1:
        raise ValueError(f"`level` should be between 0 and 1. Found {level}.")
    if resamples < 1:
        raise ValueError(f"`resamples` should be at least 1. Found {resamples}.")

    draw = _row_drawer(lengths[0]) if groups is None else _group_drawer(groups)
    random = np.random.default_rng(seed)
    estimates = np.empty(resamples)
    for i in range(resamples):
        rows = draw(random)
        estimates[i] = float(statistic(*(column[rows] for column in columns)))
    tail = (1 - level) / 2
    # No interpolation: it would make NaN of the minus infinity that information gain can be.
    low, high = np.quantile(estimates, [tail, 1 - tail], method="inverted_cdf")
    return Interval(float(low), float(high))


def _row_drawer(count: int) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    return lambda random: random.integers(count, size=count)


def _group_drawer(groups: NDArray[Any]) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    _, group_of_row = np.unique(groups, return_inverse=True)
    order = np.argsort(group_of_row, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group_of_row))[:-1])

    def draw(random: np.random.Generator) -> NDArray[np.int64]:
        chosen = random.integers(len(members), size=len(members))
        return np.concatenate([members[group] for group in chosen])

    return draw
