"""`saliency calibrate`: a map from the score to your own scale, learned from your own ratings."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from saliency import __version__
from saliency.batch.scoring import ScoredPhoto, score_photos
from saliency.calibration import calibration_of
from saliency.calibration_fitting import (
    Agreement,
    HeldOut,
    Measure,
    fit_calibration,
    measure_held_out,
    read_ratings,
)
from saliency.checkpoint import find_weights, to_sha256
from saliency.cli.console import stdout
from saliency.cli.extras import require_extra
from saliency.cli.options import Backend, BatchSize, Device, Weights
from saliency.cli.progress import progress, say, say_notes
from saliency.predictor import Predictor


def calibrate(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="RATINGS.csv",
            help="Columns `file` and `score`; an optional `group` keeps photos of one shoot "
            "together.",
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder of the photos; the CSV's folder if not given."),
    ] = None,
    column: Annotated[
        str, typer.Option("--column", help="Name of the column with the ratings.")
    ] = "score",
    low: Annotated[float, typer.Option("--low", help="Worst rating of your scale.")] = 1,
    high: Annotated[float, typer.Option("--high", help="Best rating of your scale.")] = 10,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write; WEIGHTS.calibration.json if not given."
        ),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "auto",
    batch_size: BatchSize = None,
) -> None:
    """Fit a monotone map from the model's score to your own ratings (isotonic regression).

    Prints how well the score agrees with your ratings before (the score stretched to your scale)
    and after, on a third of the photos, which the map has not seen. The map keeps the order of
    photos, up to ties, so SRCC hardly changes; PLCC and the mean absolute error (MAE) can. The
    saved map is fitted to all photos. A photo that cannot be read is named and left out; the exit
    code is then 1.

    `saliency rank --calibration FILE` uses the map; in Python
    `saliency.calibration.Calibration.load(FILE).apply(score)`.

    **Example:** `saliency calibrate ratings.csv --low 1 --high 5 -o mine.calibration.json`
    """
    with require_extra("calibrate", "calibrate"):  # fails now, not after all photos were scored
        import sklearn.isotonic  # noqa: F401
    ratings = read_ratings(table, images or table.parent, column, low, high)
    path = find_weights(weights)
    predictor = Predictor.load(path, device, backend=backend)
    say(f"{predictor.describe()}, photos: {len(ratings)}")
    scores, known = [], []
    with progress("scoring", len(ratings)) as shown:
        outcomes = score_photos(predictor, [rating.path for rating in ratings], batch_size)
        for rating, outcome in zip(ratings, outcomes, strict=True):
            shown.advance()
            if isinstance(outcome, ScoredPhoto):
                scores.append(outcome.score)
                known.append(rating)
                say_notes(outcome.path, outcome.record.notes)
            else:
                say(f"skipped: {outcome.error}", style="yellow")
    predicted = np.array(scores, dtype=np.float64)
    rated = np.array([rating.rating for rating in known], dtype=np.float64)
    groups = np.array([rating.group for rating in known], dtype=np.str_)
    held_out = measure_held_out(predicted, rated, groups, low, high)
    calibration = replace(
        fit_calibration(predicted, rated, to_sha256(path)),
        origin={
            "ratings": table.name,
            "rows": len(rated),
            "low": low,
            "high": high,
            "version": __version__,
            "date": date.today().isoformat(),
            "held_out": {
                "rows": held_out.rows,
                "before": to_values(held_out.before),
                "after": to_values(held_out.after),
            },
        },
    )
    destination = output or calibration_of(path)
    calibration.save(destination)
    print_table(held_out)
    say(f"calibration in {destination}")
    if len(known) < len(ratings):
        raise typer.Exit(1)


def print_table(held_out: HeldOut) -> None:
    """Print each metric before and after."""
    table = Table(
        title=f"{held_out.rows} photos held out, fitted to {held_out.fitted_rows} others: "
        "value [95 % interval]",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    for heading in ("", "SRCC", "PLCC", "MAE"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, agreement in (("before", held_out.before), ("after", held_out.after)):
        table.add_row(name, *map(to_cell, agreement))
    stdout.print(table)


def to_values(agreement: Agreement) -> dict[str, float]:
    """Return each metric's value by its name."""
    return {metric: measure.value for metric, measure in agreement._asdict().items()}


def to_cell(measure: Measure) -> str:
    """Return a value and its interval as text."""
    low, high = measure.interval
    return f"{measure.value:.3f} \\[{low:.3f}, {high:.3f}]"
