"""Charts are well-formed, and put values where the axis says."""

import re
import xml.etree.ElementTree as ET

import pytest

from saliency.experiments.charts import (
    INK,
    PALETTE,
    IntervalRow,
    Series,
    interval_chart,
    line_chart,
    scatter_chart,
)

LABELS = {"title": "T <&>", "x_label": "x", "y_label": "y"}
SVG = "{http://www.w3.org/2000/svg}"


def parse(chart: str) -> ET.Element:
    return ET.fromstring(chart)  # noqa: S314


def texts(chart: str) -> list[str]:
    return [element.text for element in parse(chart).iter(f"{SVG}text")]


def paths_in(chart: str, color: str) -> list[list[tuple[float, float]]]:
    """The corners of each line of a colour that is no legend."""
    drawn = [path for path in parse(chart).iter(f"{SVG}path") if path.get("clip-path")]
    return [
        [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path.get("d"))]
        for path in drawn
        if f"stroke: {color}" in path.get("style", "")
    ]


@pytest.mark.parametrize("chart", [line_chart, scatter_chart])
@pytest.mark.parametrize("points", [[], [1.0], [1.0, 2.0, float("nan")], [3.0, 3.0, 3.0]])
def test_any_points_give_a_well_formed_chart(chart, points):
    drawn = chart([Series("a & b", range(len(points)), points)], **LABELS)
    assert {"a & b", "T <&>", "x", "y"} <= set(texts(drawn))
    assert parse(drawn).get("aria-label") == "T <&>"


def test_text_takes_the_pages_colour():
    drawn = line_chart([Series("a", [0, 1], [1.0, 2.0])], **LABELS)
    assert INK not in drawn
    assert drawn.count("currentColor") > 5


def test_a_line_goes_through_its_finite_points_and_higher_values_are_higher_up():
    drawn = line_chart([Series("a", [0, 1, 2], [1.0, float("inf"), 2.0])], **LABELS)
    [[low, high]] = paths_in(drawn, PALETTE[0])
    assert high[0] > low[0]
    assert high[1] < low[1]


def test_equal_factors_are_equally_far_apart_on_a_logarithmic_axis():
    drawn = line_chart([Series("a", [0, 1, 2], [1.0, 10.0, 1000.0])], log_y=True, **LABELS)
    [[a, b, c]] = paths_in(drawn, PALETTE[0])
    assert b[1] - c[1] == pytest.approx(2 * (a[1] - b[1]), abs=0.2)


def test_lines_beyond_the_palette_look_different():
    many = [Series(str(n), [0, 1], [n, n]) for n in range(3 * len(PALETTE))]
    lines = [p for p in parse(line_chart(many, **LABELS)).iter(f"{SVG}path") if p.get("clip-path")]
    looks = {p.get("style") for p in lines if any(c in p.get("style", "") for c in PALETTE)}
    assert len(looks) == len(many)


def test_points_beyond_the_palette_look_different():
    many = [Series(str(n), [n], [n]) for n in range(3 * len(PALETTE))]
    marks = parse(scatter_chart(many, **LABELS)).iter(f"{SVG}use")
    looks = {tuple(m.attrib[key] for key in sorted(m.attrib) if key not in "xy") for m in marks}
    coloured = [look for look in looks if any(c in str(look) for c in PALETTE)]
    assert len(coloured) == len(many)


def relative_luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", PALETTE)
def test_every_colour_is_seen_on_light_and_on_dark_ground(color):
    own, white, dark = (relative_luminance(c) + 0.05 for c in (color, "#ffffff", "#121212"))
    assert white / own > 3
    assert own / dark > 3


def test_an_interval_reaches_from_low_to_high():
    rows = [IntervalRow("a", 2.0, 1.0, 4.0), IntervalRow("b", 2.0, 1.5, 2.5)]
    drawn = interval_chart(rows, title="T", x_label="x")
    long, short = (xs[-1][0] - xs[0][0] for xs in paths_in(drawn, PALETTE[0])[:2])
    assert long == pytest.approx(3 * short, abs=0.1)


def test_zero_is_on_the_axis_when_asked():
    rows = [IntervalRow("a", 2.0, 1.0, 4.0)]
    assert "0.0" in texts(interval_chart(rows, title="T", x_label="x", zero=True))
    assert "0.0" not in texts(interval_chart(rows, title="T", x_label="x"))
