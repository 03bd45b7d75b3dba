"""`saliency compare`: two versions of a picture, for people and for continuous integration."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from saliency.change_rendering import to_change_picture
from saliency.cli.console import stdout
from saliency.cli.options import Backend, Device, Weights
from saliency.cli.progress import say
from saliency.cli.region_options import Boxes, BoxesFile, read_regions
from saliency.comparison import Comparison, RegionChange, compare
from saliency.conditions import Condition
from saliency.files import write_atomically
from saliency.images import read_image
from saliency.insights import SaliencySummary, require_density
from saliency.predictor import Predictor
from saliency.rendering import encode_png
from saliency.types import Prediction

CONDITION_HOLDS = 3
"""Exit code; 1 is an error and 2 wrong usage."""


def compare_versions(
    before_path: Annotated[Path, typer.Argument(metavar="A", help="The first version.")],
    after_path: Annotated[Path, typer.Argument(metavar="B", help="The second version.")],
    boxes: Boxes = None,
    boxes_file: BoxesFile = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="'NAME < NUMBER'",
            help="End with exit code 3 if this holds (also <=, >, >=); a name is a path into the "
            "JSON, such as score_difference, moved or regions.NAME.share; repeatable.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A PNG: both overlays, and what gained (orange) or lost (blue)."
        ),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Numbers for programs.")] = False,
) -> None:
    """Compare two versions of a design: score, where attention moved, what regions get.

    Prints the difference of the scores (B less A), the correlation (CC) of both maps, the share of
    attention that moved (1 - SIM), KLDiv of A's map as a prediction of B's, and the share of each
    region in both. Places are shares of width and height, so the sizes may differ; boxes are pixels
    of each version.

    Exit codes: 0; 1 if something could not be read or computed; 2 for wrong usage; 3 if a
    --fail-if condition holds.

    **Example:** `saliency compare old.png new.png --box cta=40,300,200,60
    --fail-if 'regions.cta.share < 0.1' -o moved.png`
    """
    conditions = [Condition.parse(text) for text in fail_if or ()]
    regions = [read_regions(boxes, boxes_file, path) for path in (before_path, after_path)]
    predictor = Predictor.load(weights, device, backend=backend)
    say(f"{predictor.describe()}")
    before, after = predictor.predict_many((before_path, after_path))
    for found, prediction in zip(regions, (before, after), strict=True):
        found.check_size(prediction.image_size)
    comparison = compare(before, after, regions[0].regions, regions[1].regions)
    results = {
        "before": describe(before_path, before, comparison.before),
        "after": describe(after_path, after, comparison.after),
        "score_difference": comparison.score_difference,
        "cc": comparison.cc,
        "sim": comparison.sim,
        "moved": comparison.moved,
        "kl_div": comparison.kl_div,
        "regions": {change.name: describe_region(change) for change in comparison.regions},
    }
    held = [condition for condition in conditions if condition.holds(results)]
    if picture is not None:
        images = read_image(before_path), read_image(after_path)
        densities = require_density(before.density), require_density(after.density)
        write_atomically(picture, encode_png(to_change_picture(*images, *densities)))
    if as_json:
        print(json.dumps({**results, "failed": [str(condition) for condition in held]}, indent=1))
    else:
        print_tables(before, after, comparison)
    for condition in held:
        say(f"failed: {condition} (it is {condition.value_in(results):.4g})", style="red")
    if held:
        raise typer.Exit(CONDITION_HOLDS)


def describe(path: Path, prediction: Prediction, summary: SaliencySummary) -> dict[str, Any]:
    """Return what is known of one version, for JSON."""
    return {
        "image": str(path),
        "image_size": list(prediction.image_size),
        "score": prediction.score,
        "score_std": prediction.score_std,
        **dataclasses.asdict(summary),
    }


def describe_region(change: RegionChange) -> dict[str, float]:
    """Return what a region gets in both versions, for JSON; without a word, in the second."""
    return {
        "share": change.after.share,
        "share_before": change.before.share,
        "share_difference": change.after.share - change.before.share,
        "share_per_area": change.after.share_per_area,
        "share_per_area_before": change.before.share_per_area,
        "rank": change.after.rank,
        "rank_before": change.before.rank,
    }


def print_tables(before: Prediction, after: Prediction, comparison: Comparison) -> None:
    """Print both versions side by side, then how far their maps agree."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("", overflow="fold")
    for heading in ("A", "B", "B - A"):
        table.add_column(heading, justify="right")
    if before.score is not None and after.score is not None:
        table.add_row("score", *to_cells(before.score, after.score, ".2f"))
    first, second = comparison.before, comparison.after
    table.add_row("entropy", *to_cells(first.entropy, second.entropy, ".3f"))
    table.add_row("concentration", *to_cells(first.concentration, second.concentration, ".1%"))
    for change in comparison.regions:
        cells = to_cells(change.before.share, change.after.share, ".1%")
        table.add_row(f"share of {escape(change.name)}", *cells)
    stdout.print(table)
    stdout.print(
        f"attention that moved {comparison.moved:.1%}, CC {comparison.cc:.3f}, "
        f"KLDiv {comparison.kl_div:.3f}",
        highlight=False,
    )


def to_cells(before: float, after: float, style: str) -> tuple[str, str, str]:
    """Return two numbers and their difference, with its sign, as text."""
    return f"{before:{style}}", f"{after:{style}}", f"{after - before:+{style}}"
