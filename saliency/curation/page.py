"""Descriptions of sets as one HTML page that works from disk."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from saliency.charts import histogram
from saliency.curation.describe import Description
from saliency.files import write_atomically
from saliency.pages import page_templates
from saliency.rendering import encode_png, to_heatmap

ENLARGED = 3
"""Size of a pixel of the mean density, in pixels of the page."""


def write_page(descriptions: Sequence[Description], path: Path) -> None:
    """Write the page, atomically."""
    environment = page_templates("saliency.curation")
    text = environment.get_template("describe.html").render(
        descriptions=descriptions, charts=to_charts, density=to_density_picture
    )
    write_atomically(path, text.encode())


def to_charts(found: Description) -> list[str]:
    """Return the histograms that a set has values for, as SVG."""
    charts = []
    if found.scores:
        charts += [
            histogram(
                found.scores, title="Mean scores", x_label="mean score", low=1, high=10, bins=36
            ),
            histogram(
                found.score_stds,
                title="Disagreement",
                x_label="standard deviation of the votes",
                low=0,
                high=4.5,
            ),
        ]
    if found.votes:
        charts.append(_from_zero(found.votes, "Votes", "people who rated an image"))
    if found.fixations:
        charts.append(_from_zero(found.fixations, "Fixations", "fixations on an image"))
    if found.sizes:
        charts += [
            _from_zero([max(size) for size in found.sizes], "Sizes", "longer side, pixels"),
            histogram(
                [width / height for height, width in found.sizes],
                title="Proportions",
                x_label="width / height",
                low=0,
                high=3,
            ),
        ]
    return charts


def to_density_picture(found: Description) -> str | None:
    """Return the mean density as a `data:` address of a PNG; None in a set without one."""
    if found.mean_density is None:
        return None
    height, width = found.mean_density.shape
    size = (width * ENLARGED, height * ENLARGED)
    enlarged = np.asarray(cv2.resize(found.mean_density, size), np.float32)
    return f"data:image/png;base64,{base64.b64encode(encode_png(to_heatmap(enlarged))).decode()}"


def _from_zero(values: Sequence[float], title: str, x_label: str) -> str:
    high = max(values) * 1.05 or 1.0
    return histogram(values, title=title, x_label=x_label, low=0, high=high)
