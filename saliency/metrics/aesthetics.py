"""Metrics of aesthetic scores over a set of images, and the moments of a score distribution."""

import numpy as np
from numpy.typing import NDArray

from saliency.metrics.correlation import pearson
from saliency.types import SCORE_BINS, SCORES

AVA_CUT = 5.0
"""Photos with a higher mean score count as good; the convention for AVA."""

SUM_TOLERANCE = 1e-3
"""Largest difference of the sum of a score distribution from 1."""


def srcc(prediction: NDArray[np.floating], target: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of (N,) scores, -1..1; ties share the mean of their ranks.

    Raises:
        ValueError: The arguments are not two finite (N,) arrays with N >= 2.

    Note: 0, not NaN, if either side is constant.
    """
    predicted, rated = _check_scores(prediction, target)
    return pearson(_to_ranks(predicted), _to_ranks(rated))


def plcc(prediction: NDArray[np.floating], target: NDArray[np.floating]) -> float:
    """Pearson's linear correlation of (N,) scores, -1..1.

    Raises:
        ValueError: The arguments are not two finite (N,) arrays with N >= 2.

    Note: 0, not NaN, if either side is constant; no curve is fitted to the prediction first.
    """
    return pearson(*_check_scores(prediction, target))


def binary_accuracy(
    prediction: NDArray[np.floating], target: NDArray[np.floating], cut: float = AVA_CUT
) -> float:
    """Share of (N,) scores on the right side of `cut`, 0..1; a score equal to it is below.

    Raises:
        ValueError: The arguments are not two finite (N,) arrays with N >= 2.
    """
    predicted, rated = _check_scores(prediction, target)
    return float(np.mean((predicted > cut) == (rated > cut)))


def emd(
    prediction_distributions: NDArray[np.floating], target_distributions: NDArray[np.floating]
) -> float:
    """Earth mover's distance between (N, K) score distributions, mean over images, 0..1.

    `EMD = mean_i sqrt(mean_k (CDF_p(k) - CDF_q(k))^2)`: r = 2, with the root, divided by K.

    Raises:
        ValueError: The shapes differ or are not (N, K), or a row is no distribution.

    Source: Talebi, Milanfar, "NIMA: neural image assessment", 2018, equation 1.

    Note: Papers differ on the root and the divisor; compare only numbers that agree on both.
    """
    predicted = _check_distributions("prediction_distributions", prediction_distributions)
    rated = _check_distributions("target_distributions", target_distributions)
    if predicted.shape != rated.shape or predicted.ndim != 2 or not predicted.size:
        raise ValueError(
            "`prediction_distributions` and `target_distributions` should both have shape "
            f"(N, {SCORE_BINS}), N >= 1. Found {predicted.shape} and {rated.shape}."
        )
    difference = predicted.cumsum(axis=1) - rated.cumsum(axis=1)
    return float(np.sqrt(np.mean(difference**2, axis=1)).mean())


def mean_score(distribution: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean score, 1..10, of each distribution: (..., K) -> (...).

    Raises:
        ValueError: The last axis is not K long or holds no distribution.
    """
    return np.asarray(_check_distributions("distribution", distribution) @ SCORES)


def score_std(distribution: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the standard deviation, 0..4.5, of each distribution's scores: (..., K) -> (...).

    Raises:
        ValueError: The last axis is not K long or holds no distribution.
    """
    weights = _check_distributions("distribution", distribution)
    deviations = SCORES - mean_score(weights)[..., np.newaxis]
    return np.asarray(np.sqrt(np.sum(weights * deviations**2, axis=-1)))


def _to_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    # `counts` equal values end at rank cumsum(counts); their mean lies half a run before.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(ranks[inverse], dtype=np.float64)


def _check_scores(
    prediction: NDArray[np.floating], target: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if prediction.shape != target.shape or prediction.ndim != 1 or len(prediction) < 2:
        raise ValueError(
            "`prediction` and `target` should both have shape (N,), N >= 2. "
            f"Found {prediction.shape} and {target.shape}."
        )
    for name, scores in (("prediction", prediction), ("target", target)):
        if not np.isfinite(scores).all():
            raise ValueError(
                f"`{name}` should be finite. "
                f"Found {np.count_nonzero(~np.isfinite(scores))} NaN or infinite scores."
            )
    return prediction.astype(np.float64), target.astype(np.float64)


def _check_distributions(name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
    if values.ndim == 0 or values.shape[-1] != SCORE_BINS:
        raise ValueError(f"`{name}` should have shape (..., {SCORE_BINS}). Found {values.shape}.")
    distributions = values.astype(np.float64)
    # Written so that a NaN fails the checks too.
    if not (distributions >= 0).all():
        raise ValueError(f"`{name}` should be non-negative. Found {distributions.min():.4g}.")
    sums = distributions.sum(axis=-1)
    if not (np.abs(sums - 1) <= SUM_TOLERANCE).all():
        worst = np.ravel(sums)[np.argmax(np.abs(sums - 1))]
        raise ValueError(f"`{name}` should sum to 1 along the last axis. Found {worst:.4g}.")
    return distributions
