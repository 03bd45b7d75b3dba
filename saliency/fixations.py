"""Fixation points -> fixation map -> density."""

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.densities import normalize_density
from saliency.types import Fixations

SIGMA_SHARE = 0.03
"""Blur as a share of the longer side: about 1 degree of visual angle for a photo on a screen."""


def to_fixation_map(fixations: Fixations, size: tuple[int, int]) -> NDArray[np.float32]:
    """Count fixations per pixel.

    Args:
        fixations: Points in pixels; those outside the frame are dropped.
        size: (height, width) of the map.

    Returns:
        (H, W) float32 counts.
    """
    height, width = size
    xs, ys = fixations
    inside = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)  # NaN is not
    columns = xs[inside].astype(np.int64)
    rows = ys[inside].astype(np.int64)
    counts = np.bincount(rows * width + columns, minlength=height * width)
    return counts.reshape(height, width).astype(np.float32)


def to_density(
    fixations: Fixations, size: tuple[int, int], sigma_px: float | None = None
) -> NDArray[np.float32] | None:
    """Blur fixations into a density.

    Args:
        fixations: Points in pixels; those outside the frame are dropped.
        size: (height, width) of the density.
        sigma_px: Standard deviation of the Gaussian; `SIGMA_SHARE` of the longer side if None.

    Returns:
        (H, W) float32, >= 0, sums to 1; None if no point lies inside the frame.
    """
    fixation_map = to_fixation_map(fixations, size)
    if not fixation_map.any():
        return None
    sigma_px = SIGMA_SHARE * max(size) if sigma_px is None else sigma_px
    # Zeros beyond the frame, as MATLAB's imfilter does in the data sets' own scripts.
    blurred = cv2.GaussianBlur(
        fixation_map, (0, 0), sigmaX=sigma_px, sigmaY=sigma_px, borderType=cv2.BORDER_CONSTANT
    )
    return normalize_density(np.asarray(blurred, dtype=np.float32))
