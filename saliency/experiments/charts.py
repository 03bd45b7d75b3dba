"""Charts as SVG text, made by matplotlib for pages that work from disk: lines, points, intervals.

Text and axes take the page's own colour, so that a chart is readable on light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b98200", "#3a9ad9", "#7f7f7f", "#8c564b"
)  # fmt: skip
"""Palette after Okabe and Ito, distinct for any colour vision; contrast > 3 on #fff and #121212."""

INK = "#010203"
"""Stands for the page's own colour, which matplotlib does not know."""

STYLE: Any = {  # matplotlib's own type lists every key
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "saliency",  # the same names in every run
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.spines.bottom": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


@dataclass(frozen=True)
class Series:
    """One line, or one kind of points. Points that are not finite are left out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]

    def points(self) -> tuple[list[float], list[float]]:
        """Return the xs and ys of the finite points."""
        pairs = zip(self.xs, self.ys, strict=True)
        finite = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
        return [x for x, _ in finite], [y for _, y in finite]


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
    height: int = 400,
) -> str:
    """Return lines with axes and a legend, as one `<svg>` element.

    Args:
        series: The lines.
        title: Title above the chart, also its name for screen readers.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        log_y: Whether the vertical axis is logarithmic; values should be > 0 then.
        width: Width in pixels.
        height: Height in pixels.
    """

    def draw(figure: Figure, axes: Axes) -> None:
        # Beyond the palette's length, colours repeat with another dash.
        looks = [(color, dash) for dash in ("-", "--", ":") for color in PALETTE]
        for each, (color, dash) in zip(series, cycle(looks), strict=False):
            axes.plot(*each.points(), color=color, linestyle=dash, label=each.name)
        axes.set(title=title, xlabel=x_label, ylabel=y_label, yscale="log" if log_y else "linear")
        _add_legend(figure, [each.name for each in series], width)

    return _to_svg(draw, title, width, height)


def scatter_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    width: int = 720,
    height: int = 440,
) -> str:
    """Return points with axes and a legend, as one `<svg>` element; arguments as `line_chart`."""

    def draw(figure: Figure, axes: Axes) -> None:
        # Three is not a divisor of the palette's length: 24 series look different.
        looks = zip(cycle(PALETTE), cycle("os^"), strict=False)
        for each, (color, marker) in zip(series, looks, strict=False):
            axes.plot(*each.points(), marker, color=color, markersize=5, label=each.name)
        axes.set(title=title, xlabel=x_label, ylabel=y_label)
        _add_legend(figure, [each.name for each in series], width)

    return _to_svg(draw, title, width, height)


def interval_chart(
    rows: Sequence[IntervalRow], *, title: str, x_label: str, zero: bool = False, width: int = 720
) -> str:
    """Return a forest plot (a dot and a bar in each row) as one `<svg>` element.

    Args:
        rows: The rows, from top to bottom.
        title: Title above the chart, also its name for screen readers.
        x_label: Label of the axis.
        zero: Whether 0 is shown and marked on the axis; for differences.
        width: Width in pixels.
    """

    def draw(figure: Figure, axes: Axes) -> None:
        for number, row in enumerate(rows):
            axes.plot([row.low, row.high], [number, number], color=PALETTE[0])
            axes.plot([row.value], [number], "o", color=PALETTE[0])
        axes.set(title=title, xlabel=x_label, ylim=(len(rows) - 0.5, -0.5))
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.grid(visible=False, axis="y")
        if zero:
            axes.axvline(0, color=INK, linewidth=1)

    return _to_svg(draw, title, width, 84 + 24 * len(rows))


def _add_legend(figure: Figure, names: Sequence[str], width: int) -> None:
    columns = max(1, width // (60 + 7 * max((len(name) for name in names), default=1)))
    figure.legend(loc="outside lower center", ncols=min(columns, max(1, len(names))))


def _to_svg(draw: Callable[[Figure, Axes], None], title: str, width: int, height: int) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width / 96, height / 96), layout="constrained")
        draw(figure, figure.add_subplot())
        text = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:", "")
    name = f'role="img" aria-label="{escape(title)}" style="max-width:100%;height:auto"'
    return svg.replace("<svg ", f"<svg {name} ", 1)
