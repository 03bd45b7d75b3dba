"""Shared steps of the analyses: check a density, average it onto a grid, sum it over boxes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.errors import InsightError

COARSE_SIDE = 384
"""Smallest side, in pixels, that `coarsen` reduces a density to. Networks resolve less, so
`Prediction.density_within(COARSE_SIDE)` is all that summaries and crops need."""


def require_density(density: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return `density` unless it is None.

    Raises:
        InsightError: The network has no saliency head.
    """
    if density is None:
        raise InsightError("The network should have a saliency head. Found only an aesthetic head.")
    return density


def check_density(density: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return `density` as a contiguous (H, W) float32 array; its values are not checked.

    Raises:
        InsightError: `density` is not a map with at least one pixel.
    """
    if density.ndim != 2 or density.size == 0:
        raise InsightError(f"`density` should be (height, width). Found {density.shape}.")
    return np.ascontiguousarray(density, dtype=np.float32)


def coarsen(density: NDArray[np.floating]) -> NDArray[np.float32]:
    """Average a large density down, so that later steps cost the same for every photo.

    Each side is divided by a whole number if it can be, which is exact and three times faster.

    Args:
        density: (H, W), >= 0.

    Returns:
        (h, w) float32, proportional to `density`; a side below 768 keeps its length, others end
        up at 384..767.

    Raises:
        InsightError: `density` is not a map with at least one pixel.
    """
    pixels = check_density(density)
    height, width = map(_to_coarse_side, pixels.shape)
    return _reduce(pixels, (height, width))


def _to_coarse_side(side: int) -> int:
    largest = max(1, side // COARSE_SIDE)
    factors = range(largest, largest // 2, -1)
    return next((side // factor for factor in factors if side % factor == 0), side // largest)


def to_grid(density: NDArray[np.floating], grid_size: tuple[int, int]) -> NDArray[np.float64]:
    """Average a density onto a grid; a pixel across several cells counts in each by its area there.

    Args:
        density: (H, W), >= 0, with any sum.
        grid_size: (rows, columns) of the grid.

    Returns:
        (rows, columns) float64, >= 0, sums to 1: the share of attention in each cell.

    Raises:
        InsightError: `density` is zero everywhere, negative somewhere, or not finite.
    """
    cells = _reduce(check_density(density), grid_size)
    for axis, wanted in enumerate(grid_size):  # fewer pixels than cells: split the pixels
        if cells.shape[axis] < wanted:
            cells = cells.repeat(-(-wanted // cells.shape[axis]), axis)
    shares = _reduce(cells, grid_size).astype(np.float64)
    return shares / check_total(float(shares.sum()), float(shares.min()))


def check_total(total: float, minimum: float = 0.0) -> float:
    """Return the sum of a density.

    Raises:
        InsightError: The density is zero everywhere, negative somewhere, or not finite.
    """
    if not (np.isfinite(total) and total > 0 and minimum >= 0):
        raise InsightError(
            "`density` should be finite, nowhere negative and somewhere positive. "
            f"Found a sum of {total:g} and a minimum of {minimum:g}."
        )
    return total


def _reduce(cells: NDArray[np.float32], grid_size: tuple[int, int]) -> NDArray[np.float32]:
    """Average onto at most `grid_size` cells, which keeps the shares of larger cells."""
    rows, columns = (min(have, want) for have, want in zip(cells.shape, grid_size, strict=True))
    if (rows, columns) == cells.shape:
        return cells
    resized = cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.float32).reshape(rows, columns)


class AttentionTable:
    """The share of attention in any box, with four look-ups per box.

    T[r, c] is the attention above row r and left of column c. Between its corners T is bilinear
    where the density is constant in each cell, so fractional edges are exact, not approximate:
    share = T(bottom, right) - T(bottom, left) - T(top, right) + T(top, left).

    Args:
        cells: (h, w), >= 0: a density, or its grid.
        image_size: (height, width) of the photo that they cover; boxes are in its pixels.

    Raises:
        InsightError: `cells` are zero everywhere, negative somewhere, or not finite.

    Source: Crow, Summed-Area Tables for Texture Mapping, SIGGRAPH 1984.
    """

    def __init__(self, cells: NDArray[np.floating], image_size: tuple[int, int]) -> None:
        self._cells_per_pixel = (
            cells.shape[0] / image_size[0],
            cells.shape[1] / image_size[1],
        )
        self._table = np.asarray(cv2.integral(cells, sdepth=cv2.CV_64F))  # (h + 1, w + 1)
        self._total = check_total(float(self._table[-1, -1]))

    def shares(
        self,
        left: NDArray[Any],
        top: NDArray[Any],
        right: NDArray[Any],
        bottom: NDArray[Any],
    ) -> NDArray[np.float64]:
        """Return the share of attention, 0..1, in each of N boxes.

        Args:
            left: (N,) pixels; edges beyond the photo are moved to its border.
            top: (N,) pixels.
            right: (N,) pixels, >= `left`.
            bottom: (N,) pixels, >= `top`.
        """
        inside = (
            self._at(bottom, right)
            - self._at(bottom, left)
            - self._at(top, right)
            + self._at(top, left)
        )
        return np.clip(inside / self._total, 0.0, 1.0)

    def _at(self, ys: NDArray[Any], xs: NDArray[Any]) -> NDArray[np.float64]:
        """Interpolate the table at (N,) places in pixels."""
        rows, row_shares = self._split(ys, axis=0)
        columns, column_shares = self._split(xs, axis=1)
        above = self._table[rows, columns] * (1 - column_shares)
        above += self._table[rows, columns + 1] * column_shares
        below = self._table[rows + 1, columns] * (1 - column_shares)
        below += self._table[rows + 1, columns + 1] * column_shares
        between: NDArray[np.float64] = above * (1 - row_shares) + below * row_shares
        return between

    def _split(self, places: NDArray[Any], axis: int) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Return the cell of each place, and the position within the cell, 0..1."""
        cells = self._table.shape[axis] - 1
        exact = np.clip(places * self._cells_per_pixel[axis], 0, cells)
        index = np.minimum(exact.astype(np.intp), cells - 1)
        return index, exact - index
