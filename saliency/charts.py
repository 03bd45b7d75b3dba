"""Charts as SVG text, for pages that work from disk: lines, points, intervals, histograms.

Text and axes take the page's own colour, so that a chart reads on light and on dark ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b98200", "#3a9ad9", "#7f7f7f", "#8c564b"
)  # fmt: skip
"""After Okabe and Ito, told apart by any colour vision; contrast > 3 on white and on #121212."""

DASHES = ("", "6 3", "2 3")
"""Beyond the palette's length, colours of lines come again in another dash."""

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 64, 16, 36, 44
LEGEND_ROW, INTERVAL_ROW = 18, 26
LABEL_CHARACTER = 6.6
"""Pixels of an average character of a label."""


@dataclass(frozen=True)
class Series:
    """One line, or one kind of points. Points that are not finite are left out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]

    def points(self) -> list[tuple[float, float]]:
        """Return the finite points."""
        pairs = zip(self.xs, self.ys, strict=True)
        return [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


@dataclass(frozen=True)
class IntervalRow:
    """A value with its interval."""

    label: str
    value: float
    low: float
    high: float


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_y: bool = False,
    width: int = 720,
    height: int = 360,
) -> str:
    """Return lines with axes and a legend, as one `<svg>` element.

    Args:
        series: One line each.
        title: Above the chart, and its name for screen readers.
        x_label: Below the horizontal axis.
        y_label: Beside the vertical axis.
        log_y: Whether the vertical axis is logarithmic; values should be > 0 then.
        width: Pixels.
        height: Pixels without the legend.
    """

    def draw(number: int, points: list[tuple[float, float]], name: str) -> str:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        title = f"<title>{escape(name)}</title>"
        return f'<polyline fill="none" {_stroke(number)} points="{path}">{title}</polyline>'

    def sign(number: int) -> str:
        return f'<path {_stroke(number)} d="M-8 0H8"/>'

    return _xy_chart(series, draw, sign, title, x_label, y_label, log_y, width, height)


def scatter_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    width: int = 720,
    height: int = 420,
) -> str:
    """Return points with axes and a legend, as one `<svg>` element; arguments as `line_chart`."""

    def draw(number: int, points: list[tuple[float, float]], name: str) -> str:
        return "".join(
            f'<g transform="translate({x:.1f},{y:.1f})">{_mark(number)}'
            f"<title>{escape(name)}</title></g>"
            for x, y in points
        )

    return _xy_chart(series, draw, _mark, title, x_label, y_label, False, width, height)


def interval_chart(
    rows: Sequence[IntervalRow], *, title: str, x_label: str, zero: bool = False, width: int = 720
) -> str:
    """Return a dot and a bar a row, as one `<svg>` element: a forest plot.

    Args:
        rows: From top to bottom.
        title: Above the chart, and its name for screen readers.
        x_label: Below the axis.
        zero: Whether the axis holds 0, marked; for differences.
        width: Pixels.
    """
    left = 16 + LABEL_CHARACTER * max((len(row.label) for row in rows), default=0)
    bottom = MARGIN_TOP + INTERVAL_ROW * len(rows)
    ends = [end for row in rows for end in (row.low, row.high) if math.isfinite(end)]
    scale = _Scale.over([*ends, *([0.0] if zero else [])], left, width - MARGIN_RIGHT)
    parts = [
        f'<line class="grid" x1="{scale(t):.1f}" x2="{scale(t):.1f}" y1="{MARGIN_TOP}" '
        f'y2="{bottom}"/><text x="{scale(t):.1f}" y="{bottom + 16}" text-anchor="middle">'
        f"{_number(t)}</text>"
        for t in scale.ticks()
    ]
    if zero:
        parts.append(
            f'<line class="axis" x1="{scale(0):.1f}" x2="{scale(0):.1f}" y1="{MARGIN_TOP}" '
            f'y2="{bottom}"/>'
        )
    for number, row in enumerate(rows):
        y = MARGIN_TOP + INTERVAL_ROW * (number + 0.5)
        said = f"{row.label}: {row.value:.4f} [{row.low:.4f}, {row.high:.4f}]"
        parts.append(
            f'<text x="{left - 10:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(row.label)}'
            f'</text><g stroke="{PALETTE[0]}" fill="{PALETTE[0]}"><title>{escape(said)}</title>'
            f'<line x1="{scale(row.low):.1f}" x2="{scale(row.high):.1f}" y1="{y}" y2="{y}" '
            f'stroke-width="2"/><circle cx="{scale(row.value):.1f}" cy="{y}" r="4.5"/></g>'
        )
    middle = (left + width - MARGIN_RIGHT) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{bottom + 34}" text-anchor="middle">{escape(x_label)}</text>'
    )
    return _svg(title, parts, width, bottom + MARGIN_BOTTOM)


def histogram(
    values: Sequence[float],
    *,
    title: str,
    x_label: str,
    low: float,
    high: float,
    bins: int = 20,
    width: int = 280,
    height: int = 190,
) -> str:
    """Return how many values lie in each of equal bins, as one `<svg>` element.

    Args:
        values: All within `low` and `high`; those outside count in the outermost bins.
        title: Above the chart, and its name for screen readers.
        x_label: Below the axis.
        low: Where the first bin begins.
        high: Where the last bin ends.
        bins: How many.
        width: Pixels.
        height: Pixels.
    """
    counts = [0] * bins
    for value in values:
        if math.isfinite(value):
            counts[min(max(int((value - low) / (high - low) * bins), 0), bins - 1)] += 1
    left, right, bottom = 40, width - MARGIN_RIGHT, height - MARGIN_BOTTOM
    to_x = _Scale(low, high, left, right)
    to_y = _Scale(0, max(counts) or 1, bottom, MARGIN_TOP)
    parts = [
        f'<line class="grid" x1="{left}" x2="{right}" y1="{to_y(t):.1f}" y2="{to_y(t):.1f}"/>'
        f'<text x="{left - 6}" y="{to_y(t) + 4:.1f}" text-anchor="end">{_number(t)}</text>'
        for t in to_y.ticks()
        if t == int(t)
    ]
    bar = (right - left) / bins
    for number, count in enumerate(counts):
        begin = low + number * (high - low) / bins
        said = f"{begin:.4g} to {begin + (high - low) / bins:.4g}: {count}"
        parts.append(
            f'<rect x="{left + number * bar + 0.5:.1f}" y="{to_y(count):.1f}" '
            f'width="{bar - 1:.1f}" height="{bottom - to_y(count):.1f}" fill="{PALETTE[0]}">'
            f"<title>{said}</title></rect>"
        )
    parts += [
        f'<text x="{to_x(t):.1f}" y="{bottom + 16}" text-anchor="middle">{_number(t)}</text>'
        for t in to_x.ticks()
    ]
    parts.append(
        f'<text x="{(left + right) / 2}" y="{bottom + 34}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    return _svg(title, parts, width, height)


@dataclass(frozen=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, log: bool = False) -> _Scale:
        """Return a scale that shows all `values` with a little room."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        if log:
            return cls(low / 1.1, high * 1.1, start, end, log)
        room = 0.04 * (high - low) or 0.5
        return cls(low - room, high + room, start, end)

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return about five round values."""
        if self.log:
            exponents = range(
                math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1
            )
            ratio = self.high / self.low
            few = (1.0, 2.0, 5.0) if ratio > 8 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
            factors = few if ratio < 300 else (1.0,)
            values = [f * 10.0**e for e in exponents for f in factors]
            return [v for v in values if self.low <= v <= self.high]
        raw = (self.high - self.low) / 5
        magnitude = 10 ** math.floor(math.log10(raw))
        step = next(f * magnitude for f in (1, 2, 5, 10) if f * magnitude >= raw)
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step) + 1)]


def _xy_chart(
    series: Sequence[Series],
    draw: Callable[[int, list[tuple[float, float]], str], str],
    sign: Callable[[int], str],
    title: str,
    x_label: str,
    y_label: str,
    log_y: bool,
    width: int,
    height: int,
) -> str:
    points = [s.points() for s in series]
    if log_y:
        points = [[(x, y) for x, y in line if y > 0] for line in points]
    right, bottom = width - MARGIN_RIGHT, height - MARGIN_BOTTOM
    to_x = _Scale.over([x for line in points for x, _ in line], MARGIN_LEFT, right)
    to_y = _Scale.over([y for line in points for _, y in line], bottom, MARGIN_TOP, log_y)
    parts = []
    for tick in to_x.ticks():
        x = to_x(tick)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN_TOP}" y2="{bottom}"/>'
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_number(tick)}</text>'
        )
    for tick in to_y.ticks():
        y = to_y(tick)
        parts.append(
            f'<line class="grid" x1="{MARGIN_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{MARGIN_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    for number, (line, each) in enumerate(zip(points, series, strict=True)):
        parts.append(draw(number, [(to_x(x), to_y(y)) for x, y in line], each.name))
    middle = (MARGIN_TOP + bottom) / 2
    parts.append(
        f'<text x="{(MARGIN_LEFT + right) / 2}" y="{bottom + 34}" text-anchor="middle">'
        f'{escape(x_label)}</text><text transform="translate(14,{middle}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text>'
    )
    legend, legend_height = _legend([s.name for s in series], sign, width, height + 4)
    return _svg(title, [*parts, legend], width, height + legend_height)


def _legend(
    names: Sequence[str], sign: Callable[[int], str], width: int, top: float
) -> tuple[str, float]:
    """Return entries in columns, and their height."""
    column = 36 + LABEL_CHARACTER * max((len(name) for name in names), default=1)
    columns = max(1, int((width - MARGIN_LEFT) // column))
    parts = []
    for number, name in enumerate(names):
        x = MARGIN_LEFT + column * (number % columns)
        y = top + LEGEND_ROW * (number // columns + 0.5)
        parts.append(
            f'<g transform="translate({x + 8:.1f},{y:.1f})">{sign(number)}</g>'
            f'<text x="{x + 20:.1f}" y="{y + 4:.1f}">{escape(name)}</text>'
        )
    return "".join(parts), LEGEND_ROW * math.ceil(len(names) / columns) + 8


def _mark(number: int) -> str:
    """Return the sign of a series, in colour and shape, around (0, 0)."""
    color = _color(number)
    match number % 3:  # not a divisor of the palette's length: 24 series look different
        case 0:
            return f'<circle r="4.5" fill="{color}"/>'
        case 1:
            return f'<rect x="-4" y="-4" width="8" height="8" fill="{color}"/>'
        case _:
            return f'<path d="M0-5.5L5 4H-5Z" fill="{color}"/>'


def _stroke(number: int) -> str:
    """Return the look of a series' line."""
    dash = DASHES[number // len(PALETTE) % len(DASHES)]
    return f'stroke="{_color(number)}" stroke-width="1.8" stroke-dasharray="{dash}"'


def _color(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _number(value: float) -> str:
    """Return a tick's text, without the noise of binary fractions."""
    return f"{round(value, 10):g}"


def _svg(title: str, parts: Sequence[str], width: float, height: float) -> str:
    style = (
        "text{fill:currentColor;font:12px system-ui,sans-serif}.title{font-weight:600;"
        "font-size:14px}.grid{stroke:currentColor;opacity:.15}.axis{stroke:currentColor}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img" aria-label="{escape(title)}" style="max-width:100%">'
        f'<style>{style}</style><text class="title" x="16" y="20">{escape(title)}</text>'
        f"{''.join(parts)}</svg>"
    )
