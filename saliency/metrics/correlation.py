"""Pearson correlation, which CC, PLCC and SRCC share."""

import numpy as np
from numpy.typing import NDArray


def standardize(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift and scale to mean 0 and standard deviation 1; constant values become zeros."""
    # Rounding may give a constant array a standard deviation just above 0, so compare the values.
    if values.min() == values.max():
        return np.zeros_like(values)
    standardized: NDArray[np.float64] = (values - values.mean()) / values.std()
    return standardized


def pearson(prediction: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Correlate two arrays of one shape: -1..1, and 0 if either is constant."""
    return float(np.mean(standardize(prediction) * standardize(target)))
