"""The centre bias: where people look on average, whatever the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saliency.densities import normalize_density
from saliency.fixations import to_density
from saliency.metrics.pooling import pool_fixations, rescale_fixations
from saliency.types import Fixations

UNIFORM_SHARE = 0.01
"""Share of the mass that is spread evenly, so that information gain is finite at every pixel."""

UNIT_FRAME = (1, 1)


@dataclass(frozen=True, slots=True)
class CenterBias:
    """One density for all images, stretched to each image's size.

    It is the baseline of `information_gain` and the first row of a table.

    Attributes:
        unit_fixations: All training fixations in a frame of height 1 and width 1.
    """

    unit_fixations: Fixations

    @classmethod
    def fit(cls, fixations: Sequence[Fixations], sizes: Sequence[tuple[int, int]]) -> CenterBias:
        """Pool the fixations of the training images.

        Args:
            fixations: Fixations of each training image, in that image's pixels.
            sizes: (height, width) of each training image.

        Raises:
            ValueError: The two sequences are empty or differ in length.
        """
        return cls(pool_fixations(fixations, sizes, UNIT_FRAME))

    def density(self, size: tuple[int, int], sigma_px: float | None = None) -> NDArray[np.float32]:
        """Blur the pooled fixations in a frame of (height, width) `size`.

        Args:
            size: (height, width) of the density.
            sigma_px: Standard deviation of the Gaussian; None: that of `to_density`.

        Returns:
            (H, W) float32, > 0, sums to 1.

        Raises:
            ValueError: No training fixation lies inside its image.
        """
        blurred = to_density(
            rescale_fixations(self.unit_fixations, UNIT_FRAME, size), size, sigma_px
        )
        if blurred is None:
            raise ValueError(
                "`unit_fixations` should hold at least one point with 0 <= x, y < 1. Found none."
            )
        return normalize_density((1 - UNIFORM_SHARE) * blurred + UNIFORM_SHARE / blurred.size)
