"""Metrics of stated errors: whether real errors are as large as stated, over a set of images."""

import numpy as np
from numpy.typing import NDArray

from saliency.metrics.aesthetics import srcc


def error_rank(errors: NDArray[np.floating], stds: NDArray[np.floating]) -> float:
    """Spearman's correlation of (N,) absolute errors with stated deviations, -1..1.

    Constant statements have 0, and perfect ones are far from 1, since single errors are random:
    Gaussian errors whose true deviations spread (evenly in their logarithm) over a factor of two
    have .21, over a factor of three .32.

    Raises:
        ValueError: The arguments are not two finite (N,) arrays with N >= 2.
    """
    return srcc(np.abs(errors), stds)


def share_within(
    errors: NDArray[np.floating], stds: NDArray[np.floating], factor: float = 1.0
) -> float:
    """Share of (N,) errors of at most `factor` stated deviations, 0..1.

    For correctly stated Gaussian errors it is .683 for 1 and .954 for 2.

    Raises:
        ValueError: The arguments are not two (N,) arrays with N >= 1, or a deviation is negative.
    """
    if errors.shape != stds.shape or errors.ndim != 1 or not len(errors):
        raise ValueError(
            "`errors` and `stds` should both have shape (N,), N >= 1. "
            f"Found {errors.shape} and {stds.shape}."
        )
    if not (stds >= 0).all():  # so that a NaN fails too
        raise ValueError(f"`stds` should be at least 0. Found {stds.min():.4g}.")
    return float(np.mean(np.abs(errors) <= factor * stds))
