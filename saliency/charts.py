"""Histograms as SVG text, for pages that work from disk and need no plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

COLOR = "#0072b2"
WIDTH, HEIGHT = 280, 190
LEFT, RIGHT, TOP, BOTTOM = 10, 264, 44, 150
"""Edges of the area of the bars, in pixels."""


def histogram(
    values: Sequence[float], *, title: str, x_label: str, low: float, high: float, bins: int = 20
) -> str:
    """Return how many values lie in each of equal bins, as one `<svg>` element.

    Text takes the page's own colour; each bar shows its range and its count when pointed at.

    Args:
        values: Those outside `low` and `high` count in the outermost bins.
        title: Title above the chart, also its name for screen readers.
        x_label: Label below the axis.
        low: Start of the first bin.
        high: End of the last bin.
        bins: Number of bins.
    """
    finite = np.asarray(values, float)[np.isfinite(np.asarray(values, float))]
    counts, ends = np.histogram(finite.clip(low, high), bins, (low, high))
    most, bar = max(int(counts.max()), 1), (RIGHT - LEFT) / bins
    bars = "".join(
        f'<rect x="{LEFT + number * bar + 0.5:.1f}" width="{bar - 1:.1f}" fill="{COLOR}" '
        f'y="{BOTTOM - (BOTTOM - TOP) * count / most:.1f}" '
        f'height="{(BOTTOM - TOP) * count / most:.1f}">'
        f"<title>{ends[number]:.4g} to {ends[number + 1]:.4g}: {count}</title></rect>"
        for number, count in enumerate(counts)
    )
    at = '<text x="{}" y="{}" text-anchor="{}">{}</text>'.format
    texts = (
        at(LEFT, TOP - 4, "start", f"highest bar: {most}" if len(finite) else "no values")
        + "".join(
            at(LEFT + (RIGHT - LEFT) * (t - low) / (high - low), BOTTOM + 16, "middle", f"{t:.4g}")
            for t in _ticks(low, high)
        )
        + at((LEFT + RIGHT) / 2, BOTTOM + 32, "middle", escape(x_label))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'role="img" aria-label="{escape(title)}" style="max-width:100%">'
        '<g fill="currentColor" style="font:12px system-ui,sans-serif">'
        f'<text x="{LEFT}" y="18" style="font-weight:600;font-size:14px">{escape(title)}</text>'
        f'{texts}<rect x="{LEFT}" y="{BOTTOM}" width="{RIGHT - LEFT}" height="1" opacity=".4"/></g>'
        f'<g class="bars">{bars}</g></svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round values."""
    least = (high - low) / 5
    magnitude = 10 ** math.floor(math.log10(least))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= least)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
