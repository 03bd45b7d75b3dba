"""Densities at other sizes, and of sum 1."""

import cv2
import numpy as np
from numpy.typing import NDArray


def resize_density(density: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return a density (h, w) at (height, width) `size`; it sums to 1 again.

    It is averaged where it shrinks and interpolated linearly where it grows. At its own size it is
    returned as it is.
    """
    if density.shape == size:
        return density
    height, width = size
    shrinks = height < density.shape[0] or width < density.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(density, (width, height), interpolation=interpolation)
    return normalize_density(np.asarray(resized, np.float32).reshape(size))


def normalize_density(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale non-negative `values` (H, W) to sum 1; all zeros become the uniform density."""
    total = float(values.sum(dtype=np.float64))
    if total <= 0:
        return np.full(values.shape, 1 / values.size, dtype=np.float32)
    return (values / total).astype(np.float32)
