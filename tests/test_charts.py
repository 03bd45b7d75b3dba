"""Histograms are well-formed and count right."""

import xml.etree.ElementTree as ET

import pytest

from saliency.charts import histogram

SVG = "{http://www.w3.org/2000/svg}"


def bar_heights(chart: str) -> list[float]:
    *_, bars = ET.fromstring(chart).iter(f"{SVG}g")  # noqa: S314
    return [float(bar.get("height")) for bar in bars]


def test_any_words_give_a_well_formed_chart():
    chart = histogram([1.0, float("nan")], title="T <&>", x_label="<&>", low=0, high=10)
    root = ET.fromstring(chart)  # noqa: S314
    assert root.get("aria-label") == "T <&>"
    assert "<&>" in [text.text for text in root.iter(f"{SVG}text")]


def test_bars_are_as_high_as_there_are_values():
    chart = histogram([1.1, 1.2, 9.9], title="T", x_label="x", low=1, high=10, bins=9)
    heights = bar_heights(chart)
    assert heights[0] == pytest.approx(2 * heights[8])
    assert sum(h > 0 for h in heights) == 2


def test_values_outside_count_at_the_ends():
    chart = histogram([-5.0, 99.0], title="T", x_label="x", low=1, high=10, bins=3)
    heights = bar_heights(chart)
    assert [h > 0 for h in heights] == [True, False, True]


def test_no_values_give_a_chart_without_bars():
    chart = histogram([], title="T", x_label="x", low=0, high=1)
    assert bar_heights(chart) == [0] * 20


def test_the_axis_names_round_values():
    root = ET.fromstring(histogram([1], title="T", x_label="x", low=-0.5, high=5.5))  # noqa: S314
    assert {"0", "2", "4"} <= {text.text for text in root.iter(f"{SVG}text")}
