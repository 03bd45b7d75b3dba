"""Charts are well-formed, and put values where the axis says."""

import xml.etree.ElementTree as ET

import pytest

from saliency.charts import (
    PALETTE,
    IntervalRow,
    Series,
    histogram,
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


@pytest.mark.parametrize("chart", [line_chart, scatter_chart])
@pytest.mark.parametrize("points", [[], [1.0], [1.0, 2.0, float("nan")], [3.0, 3.0, 3.0]])
def test_any_points_give_a_well_formed_chart(chart, points):
    drawn = chart([Series("a & b", range(len(points)), points)], **LABELS)
    assert "a & b" in texts(drawn)


def test_a_line_goes_through_its_finite_points():
    chart = line_chart([Series("a", [0, 1, 2], [1.0, float("inf"), 2.0])], **LABELS)
    (line,) = parse(chart).iter(f"{SVG}polyline")
    assert len(line.get("points").split()) == 2


def test_higher_values_are_higher_up():
    chart = line_chart([Series("a", [0, 1], [1.0, 2.0])], **LABELS)
    (line,) = parse(chart).iter(f"{SVG}polyline")
    low, high = (float(point.split(",")[1]) for point in line.get("points").split())
    assert high < low


def test_equal_factors_are_equally_far_apart_on_a_logarithmic_axis():
    chart = line_chart([Series("a", [0, 1, 2], [1.0, 10.0, 100.0])], log_y=True, **LABELS)
    (line,) = parse(chart).iter(f"{SVG}polyline")
    a, b, c = (float(point.split(",")[1]) for point in line.get("points").split())
    assert a - b == pytest.approx(b - c, abs=0.2)


def test_series_beyond_the_palette_look_different():
    many = [Series(str(n), [0, 1], [n, n]) for n in range(3 * len(PALETTE))]
    lines = parse(line_chart(many, **LABELS)).iter(f"{SVG}polyline")
    looks = {(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}
    assert len(looks) == len(many)


@pytest.mark.parametrize("high", [1.3, 3.0, 9.0, 100.0, 1e6])
def test_a_logarithmic_axis_has_some_numbers_but_not_too_many(high):
    drawn = line_chart([Series("", [0, 1], [0.8, high])], log_y=True, **LABELS)
    beside = [e for e in parse(drawn).iter(f"{SVG}text") if e.get("text-anchor") == "end"]
    assert 2 <= len(beside) <= 9


def test_points_beyond_the_palette_look_different():
    many = [Series(str(n), [n], [n]) for n in range(3 * len(PALETTE))]
    drawn = scatter_chart(many, **LABELS)
    marks = [m for m in parse(drawn).iter(f"{SVG}g") if m.find(f"{SVG}title") is not None]
    looks = {(mark[0].tag, mark[0].get("fill")) for mark in marks}
    assert len(looks) == len(marks) == len(many)


def test_a_lines_legend_shows_its_dash():
    many = [Series(str(n), [0, 1], [n, n]) for n in range(len(PALETTE) + 1)]
    root = parse(line_chart(many, **LABELS))
    *_, line = root.iter(f"{SVG}polyline")
    *_, sign = root.iter(f"{SVG}path")
    look = ("stroke", "stroke-dasharray")
    assert [sign.get(key) for key in look] == [line.get(key) for key in look]


def relative_luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", PALETTE)
def test_every_colour_is_seen_on_light_and_on_dark_ground(color):
    own, white, dark = (relative_luminance(c) + 0.05 for c in (color, "#ffffff", "#121212"))
    assert white / own > 3
    assert own / dark > 3


def test_an_interval_reaches_from_low_to_high_around_its_value():
    chart = interval_chart([IntervalRow("a", 2.0, 1.0, 4.0)], title="T", x_label="x")
    root = parse(chart)
    (circle,) = root.iter(f"{SVG}circle")
    bar = next(line for line in root.iter(f"{SVG}line") if line.get("stroke-width"))
    low, value, high = float(bar.get("x1")), float(circle.get("cx")), float(bar.get("x2"))
    assert (high - low) / (value - low) == pytest.approx(3, abs=0.01)


def test_zero_is_on_the_axis_when_asked():
    rows = [IntervalRow("a", 2.0, 1.0, 4.0)]
    assert "0" in texts(interval_chart(rows, title="T", x_label="x", zero=True))
    assert "0" not in texts(interval_chart(rows, title="T", x_label="x"))


def test_bars_are_as_high_as_there_are_values():
    chart = histogram([1.1, 1.2, 9.9], title="T", x_label="x", low=1, high=10, bins=9)
    heights = [float(bar.get("height")) for bar in parse(chart).iter(f"{SVG}rect")]
    assert heights[0] == pytest.approx(2 * heights[8])
    assert sum(h > 0 for h in heights) == 2


def test_values_outside_count_at_the_ends():
    chart = histogram([-5.0, 99.0], title="T", x_label="x", low=1, high=10, bins=3)
    heights = [float(bar.get("height")) for bar in parse(chart).iter(f"{SVG}rect")]
    assert [h > 0 for h in heights] == [True, False, True]


def test_no_values_give_a_chart_without_bars():
    chart = histogram([], title="T", x_label="x", low=0, high=1)
    assert all(float(bar.get("height")) == 0 for bar in parse(chart).iter(f"{SVG}rect"))
