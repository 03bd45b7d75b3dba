"""Results as one HTML page that works from disk."""

from __future__ import annotations

from pathlib import Path

from saliency.bench.results import MEGAPIXELS, PHOTOS, Results
from saliency.bench.tables import describe, to_tables
from saliency.charts import Series, line_chart
from saliency.files import write_atomically
from saliency.pages import page_templates


def write_page(results: Results, path: Path) -> None:
    """Write the page, atomically.

    Raises:
        OSError: It cannot be written.
    """
    environment = page_templates("saliency.bench")
    text = environment.get_template("bench.html").render(
        results=results,
        facts=describe(results),
        tables=to_tables(results),
        charts=[
            _chart(results, MEGAPIXELS, "What a photo costs, by its size"),
            _chart(results, PHOTOS, "What photos cost, by their number"),
        ],
    )
    write_atomically(path, text.encode())


def _chart(results: Results, variable: str, title: str) -> str:
    curves = [growth for growth in results.growth if growth.variable == variable]
    return line_chart(
        [Series(growth.cost, growth.xs, growth.ms) for growth in curves],
        title=title,
        x_label=variable,
        y_label="milliseconds",
    )
