"""Attention in boxes of a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saliency.insights.attention import AttentionTable, check_density
from saliency.insights.boxes import Box, Point

TILE_PX = 64
"""Side, in pixels, of the tiles whose peaks are computed in advance."""

TIE_DECIMALS = 9
"""Shares that agree to so many decimals count as equal; further decimals are rounding errors."""


@dataclass(frozen=True, slots=True)
class RegionAttention:
    """The attention that a box of a photo gets.

    Attributes:
        box: The part of the box that lies inside the photo; only it was measured.
        share: Share of all attention, 0..1.
        share_per_area: `share` divided by the box's share of the photo's area: 1 is average, 2 is
            twice as much.
        peak: Greatest density in the box, divided by the greatest in the photo, 0..1.
        peak_at: Centre of the pixel with the greatest density, in the box or across its edge.
        rank: 1 for the box with the greatest share; equal shares have equal ranks (1, 2, 2, 4).
    """

    box: Box
    share: float
    share_per_area: float
    peak: float
    peak_at: Point
    rank: int


def measure_regions(density: NDArray[np.floating], boxes: Sequence[Box]) -> list[RegionAttention]:
    """Measure the attention in boxes, which may overlap, end between pixels or leave the photo.

    A pixel that an edge cuts through counts by the part that is covered.

    Args:
        density: (H, W), >= 0, at the photo's own size.
        boxes: Boxes in pixels of the photo; parts outside of it are cut off.

    Returns:
        One result per box, in order.

    Raises:
        InsightError: A box lies wholly outside the photo, or `density` is zero everywhere, negative
            somewhere, or not finite.
    """
    pixels = check_density(density)
    height, width = pixels.shape
    inside = [box.cut_to((height, width)) for box in boxes]
    if not inside:
        return []
    edges = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in inside])
    shares = AttentionTable(pixels, (height, width)).shares(*edges.T).tolist()
    rounded = np.round(shares, TIE_DECIMALS)
    descending = np.sort(-rounded)
    ranks = (np.searchsorted(descending, -rounded) + 1).tolist()
    tiles = _Tiles(pixels)
    results = []
    for box, share, rank in zip(inside, shares, ranks, strict=True):
        peak, peak_at = tiles.find_peak(box)
        per_area = share * (height * width) / box.area
        results.append(RegionAttention(box, share, per_area, peak, peak_at, rank))
    return results


class _Tiles:
    """Finds the peak in a box without reading each of its pixels.

    The peak of a tile is an upper bound for the part of the tile inside a box. Tiles are searched
    from the greatest bound down until no other tile can hold more: nearly always after one.
    """

    def __init__(self, density: NDArray[np.float32]) -> None:
        rows, columns = (np.arange(0, side, TILE_PX) for side in density.shape)
        by_rows = np.maximum.reduceat(density, rows, axis=0)
        self._bounds = np.maximum.reduceat(by_rows, columns, axis=1)
        self._density = density

    def find_peak(self, box: Box) -> tuple[float, Point]:
        """Return the peak in `box` as a share of the photo's, 0..1, and the centre of its pixel."""
        rows, columns = box.pixels
        first_row, first_column = rows.start // TILE_PX, columns.start // TILE_PX
        bounds = self._bounds[
            first_row : -(-rows.stop // TILE_PX), first_column : -(-columns.stop // TILE_PX)
        ]
        peak, at = -1.0, (0, 0)
        for tile in np.argsort(-bounds, axis=None, kind="stable"):
            row, column = divmod(int(tile), bounds.shape[1])
            if bounds[row, column] <= peak:
                break
            top = max((first_row + row) * TILE_PX, rows.start)
            left = max((first_column + column) * TILE_PX, columns.start)
            part = self._density[
                top : min((first_row + row + 1) * TILE_PX, rows.stop),
                left : min((first_column + column + 1) * TILE_PX, columns.stop),
            ]
            y, x = divmod(int(part.argmax()), part.shape[1])
            if part[y, x] > peak:
                peak, at = float(part[y, x]), (top + y, left + x)
        return peak / float(self._bounds.max()), Point(at[1] + 0.5, at[0] + 0.5)
