"""Comparison of two versions of a picture: scores, and where attention moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saliency.errors import InsightError
from saliency.insights import (
    Region,
    RegionAttention,
    SaliencySummary,
    measure_regions,
    require_density,
    summarize,
)
from saliency.insights.attention import to_grid
from saliency.metrics import cc, kl_div, sim
from saliency.sizes import fit_within
from saliency.types import Prediction

GRID_SIDE = 384
"""Cells along the longer side of the grid that both maps are compared on."""


@dataclass(frozen=True, slots=True)
class RegionChange:
    """A region in both versions.

    Attributes:
        name: Name of the region.
        before: Its attention in the first version.
        after: Its attention in the second version.
    """

    name: str
    before: RegionAttention
    after: RegionAttention


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between two versions.

    Attributes:
        before: Attention in the first version.
        after: Attention in the second version.
        score_difference: Second score minus the first, -9..9; None without an aesthetic head.
        cc: Correlation of the two maps, -1..1.
        sim: Attention that stayed in place, 0..1.
        moved: Attention that moved, `1 - sim`.
        kl_div: Divergence, >= 0, in nats, of the first map as a prediction of the second.
        regions: The regions, in the given order.
    """

    before: SaliencySummary
    after: SaliencySummary
    score_difference: float | None
    cc: float
    sim: float
    moved: float
    kl_div: float
    regions: tuple[RegionChange, ...]


def compare(
    before: Prediction,
    after: Prediction,
    regions_before: Sequence[Region] = (),
    regions_after: Sequence[Region] = (),
) -> Comparison:
    """Compare two versions of a picture.

    Both maps are averaged onto one grid with the first version's proportions, so a place is its
    share of width and height, and versions may differ in size.

    Args:
        before: The first version.
        after: The second version.
        regions_before: Regions in pixels of the first version.
        regions_after: Regions of the same names, in the same order, in pixels of the second.

    Raises:
        InsightError: A network has no saliency head, the names differ, or a region lies outside.
    """
    names = [region.name for region in regions_before]
    if names != [region.name for region in regions_after]:
        raise InsightError(
            f"Both versions should have the same regions. Found {names} and "
            f"{[region.name for region in regions_after]}."
        )
    coarse = [require_density(version.density_within(GRID_SIDE)) for version in (before, after)]
    grid = fit_within(before.image_size, GRID_SIDE)
    first, second = (to_grid(density, grid) for density in coarse)
    shared = sim(first, second)
    difference = None
    if before.score is not None and after.score is not None:
        difference = after.score - before.score
    measured = (
        measure_regions(require_density(version.density), [region.box for region in regions])
        for version, regions in ((before, regions_before), (after, regions_after))
    )
    return Comparison(
        before=summarize(coarse[0], image_size=before.image_size),
        after=summarize(coarse[1], image_size=after.image_size),
        score_difference=difference,
        cc=cc(first, second),
        sim=shared,
        moved=max(1 - shared, 0.0),  # as below, of equal maps rounding leaves about -1e-16
        kl_div=max(kl_div(first, second), 0.0),
        regions=tuple(RegionChange(*change) for change in zip(names, *measured, strict=True)),
    )
