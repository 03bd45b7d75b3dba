"""Summary of a saliency map: focal points, and how concentrated attention is."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.errors import InsightError
from saliency.insights.attention import coarsen, to_grid
from saliency.insights.boxes import Point
from saliency.sizes import fit_within

GRID_SIDE = 96
"""Cells along the longer side of the grid for focal points: a cell is about a third of a degree."""

SMOOTHING = 0.015
"""Standard deviation of the blur before the search for points, as a share of the longer side."""

MIN_PROMINENCE = 0.15
"""How far a peak must rise above the pass to a higher peak, as a share of its own height."""

MIN_SHARE = 0.03
"""Share of attention below which a point is left out."""

TOP_OF_PEAK = 0.8
"""A point is the centre of the cells that are at least this high, as a share of its peak."""

ENTROPY_SIDE = 32
"""Cells along both sides of the grid for the entropy."""

TOP_AREA = 0.1
"""The share of the area that `concentration` is measured on."""

THIRDS = (1 / 3, 2 / 3)
"""Where the lines of the rule of thirds cut a side of length 1."""


@dataclass(frozen=True, slots=True)
class FocalPoint:
    """A place that attention gathers around.

    Attributes:
        x: Pixels from the left edge, 0..W.
        y: Pixels from the top edge, 0..H.
        share: Share of all attention, `MIN_SHARE`..1: that of all places from which the steepest
            way up leads to this peak.
        rank: 1 for the point that people are expected to look at first, then 2, 3, ... This is a
            heuristic by share, since a density does not know the order in time. Of two points,
            viewers of OSIE, EyeCrowd and Scene looked first at the one of lower rank number in 75,
            69 and 74 of 100 cases (`data/focal_order.py`).
    """

    x: float
    y: float
    share: float
    rank: int


@dataclass(frozen=True, slots=True)
class SaliencySummary:
    """A saliency map in a few numbers.

    Places are in pixels of the photo; all other numbers are relative and do not depend on its size.

    Attributes:
        focal_points: Focal points by share, the greatest first. Their shares sum to at most 1. An
            even density has none.
        entropy: 0 (all attention in one of 32 x 32 cells) to 1 (even): Shannon entropy, divided by
            that of the even density.
        concentration: Share of attention in the most attended tenth of the area, .1..1.
        center_of_mass: Mean place of attention, in pixels.
        thirds_distance: Distance of the first focal point from the nearest of the four places where
            the lines of the rule of thirds cross, with both sides of the photo counted as 1: the
            middle of the photo has .236 and a corner .471. None without a focal point.
        left_right_balance: Attention in the right half minus that in the left half: -1 (all left),
            0 (balanced) to 1 (all right).

    Source of the distance: Liu, Chen, Wolf, Cohen-Or, Optimizing photo composition, 2010.
    """

    focal_points: tuple[FocalPoint, ...]
    entropy: float
    concentration: float
    center_of_mass: Point
    thirds_distance: float | None
    left_right_balance: float


def summarize(
    density: NDArray[np.floating],
    max_points: int = 5,
    *,
    image_size: tuple[int, int] | None = None,
) -> SaliencySummary:
    """Measure where attention gathers and how concentrated it is.

    Note:
        Points, concentration and centre are measured on a grid of at most 96 cells per side, so
        places are exact to about half a cell, .5 % of the longer side.

    Args:
        density: (h, w), >= 0; a longer side of `COARSE_SIDE` is as good as the photo's own.
        max_points: Largest number of focal points, >= 1.
        image_size: (height, width) of the photo, in whose pixels places are given; None: the size
            of the density.

    Raises:
        InsightError: `max_points` is below 1, or `density` is zero everywhere, negative somewhere,
            or not finite.
    """
    if max_points < 1:
        raise InsightError(f"`max_points` should be at least 1. Found {max_points}.")
    coarse = coarsen(density)
    height, width = image_size or density.shape
    cells = to_grid(coarse, fit_within((height, width), GRID_SIDE))
    per_cell = Point(width / cells.shape[1], height / cells.shape[0])
    center = _center_of_mass(cells)
    found = [
        (share, Point(at.x * per_cell.x, at.y * per_cell.y))
        for at, share in _find_points(cells)
        if share >= MIN_SHARE
    ]
    found.sort(key=lambda point: (-point[0], point[1].y, point[1].x))
    points = tuple(
        FocalPoint(at.x, at.y, share, rank)
        for rank, (share, at) in enumerate(found[:max_points], start=1)
    )
    left, right = to_grid(coarse, (1, 2))[0]
    return SaliencySummary(
        focal_points=points,
        entropy=_to_entropy(to_grid(coarse, (ENTROPY_SIDE, ENTROPY_SIDE))),
        concentration=_to_concentration(cells),
        center_of_mass=Point(center.x * per_cell.x, center.y * per_cell.y),
        thirds_distance=_to_thirds(points[0].x / width, points[0].y / height) if points else None,
        left_right_balance=float(right - left),
    )


def _to_entropy(cells: NDArray[np.float64]) -> float:
    """Return -sum p log p over log n, 0..1, with 0 log 0 = 0."""
    held = cells[cells > 0]
    entropy = -float(held @ np.log(held)) / float(np.log(cells.size))
    return min(max(entropy, 0.0), 1.0)


def _to_concentration(cells: NDArray[np.float64]) -> float:
    """Return the share of attention in the most attended `TOP_AREA`; one cell counts in part."""
    descending = np.sort(cells, axis=None)[::-1]
    reached = np.concatenate([[0.0], descending.cumsum()])
    at_top = float(np.interp(TOP_AREA * cells.size, np.arange(cells.size + 1), reached))
    return min(max(at_top, TOP_AREA), 1.0)


def _to_thirds(x: float, y: float) -> float:
    """Return how far (x, y), each 0..1, is from the nearest crossing of the lines of thirds."""
    return hypot(*(min(abs(place - third) for third in THIRDS) for place in (x, y)))


def _center_of_mass(weights: NDArray[np.float64]) -> Point:
    """Return the mean place, in cells from the top-left corner."""
    rows, columns = weights.shape
    total = weights.sum()
    x = float(weights.sum(axis=0) @ (np.arange(columns) + 0.5) / total)
    y = float(weights.sum(axis=1) @ (np.arange(rows) + 0.5) / total)
    return Point(x, y)


def _find_points(cells: NDArray[np.float64]) -> list[tuple[Point, float]]:
    """Return place, in cells, and share of each peak that stands out, in no particular order."""
    sigma = SMOOTHING * max(cells.shape)
    smooth = cv2.GaussianBlur(cells, (0, 0), sigmaX=sigma, borderType=cv2.BORDER_REFLECT)
    # Rounded, so that a plateau is one peak and rounding errors do not make several.
    heights = np.round(np.asarray(smooth).reshape(cells.shape) / smooth.max(), 6)
    if heights.min() > 1 - MIN_PROMINENCE:
        return []
    basins = _merge_ripples(heights, _climb(heights))
    points = []
    for basin in np.flatnonzero(np.bincount(basins.ravel())):  # `unique` imports masked arrays
        member = basins == basin
        height = heights[member].max()
        top = np.where(member, heights - TOP_OF_PEAK * height, 0).clip(min=0)
        if height > 0:
            points.append((_center_of_mass(top), float(cells[member].sum())))
    return points


def _climb(heights: NDArray[np.float64]) -> NDArray[np.intp]:
    """Label each cell with the peak that steepest ascent leads to.

    Among equal heights the later cell, row by row, counts as the higher one: a plateau ends up
    at one cell, and the result is always the same.

    Returns:
        (h, w) labels 0..N-1, numbered by the place of the peak.
    """
    rows, columns = heights.shape
    by_height = np.argsort(heights, axis=None, kind="stable")
    order = np.empty(heights.size, np.intp)  # place of each cell in `by_height`, so none are equal
    order[by_height] = np.arange(heights.size)
    padded = np.pad(order.reshape(rows, columns), 1, constant_values=-1)
    best = padded[1:-1, 1:-1].copy()
    for down in range(3):
        for right in range(3):
            np.maximum(best, padded[down : down + rows, right : right + columns], out=best)
    uphill = by_height[best].ravel()
    while not np.array_equal(further := uphill[uphill], uphill):
        uphill = further
    _, labels = np.unique(uphill, return_inverse=True)
    return labels.reshape(rows, columns)


def _merge_ripples(heights: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Merge each basin whose peak barely rises above its highest pass with the one beyond it.

    The least prominent peak is merged first, so a ripple joins the hill that it lies on.

    Source: Grimaud, A new measure of contrast: the dynamics, SPIE 1992; here relative to the
    peak's height.
    """
    count = int(labels.max()) + 1
    peaks = np.zeros(count)
    np.maximum.at(peaks, labels, heights)
    passes = _find_passes(heights, labels, count)
    owner = np.arange(count)
    for _ in range(count - 1):
        highest = passes.max(axis=1)
        # Basins of zero height have no prominence; merged ones are not considered again.
        prominence = np.where(highest >= 0, 1 - highest / np.maximum(peaks, 1e-12), np.inf)
        lowest = int(prominence.argmin())
        if prominence[lowest] >= MIN_PROMINENCE:
            break
        beyond = int(passes[lowest].argmax())
        owner[owner == lowest] = beyond
        peaks[beyond] = max(peaks[beyond], peaks[lowest])
        passes[beyond] = np.maximum(passes[beyond], passes[lowest])
        passes[:, beyond] = passes[beyond]
        passes[lowest] = passes[:, lowest] = -1
        passes[beyond, beyond] = -1
    return owner[labels]


def _find_passes(
    heights: NDArray[np.float64], labels: NDArray[np.intp], count: int
) -> NDArray[np.float64]:
    """Return the height of the highest pass between two basins, (N, N); -1 without a border."""
    passes = np.full((count, count), -1.0)
    rows, columns = heights.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = np.s_[: rows - down, max(0, -right) : columns - max(0, right)]
        there = np.s_[down:, max(0, right) : columns + min(0, right)]
        apart = labels[here] != labels[there]
        one, other = labels[here][apart], labels[there][apart]
        height = np.minimum(heights[here], heights[there])[apart]
        np.maximum.at(passes, (one, other), height)
        np.maximum.at(passes, (other, one), height)
    return passes
