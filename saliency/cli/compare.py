"""`saliency compare`: two versions of a picture, for people and for continuous integration."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from saliency.change_rendering import to_change_picture
from saliency.cli.console import stdout
from saliency.cli.options import Backend, Device, Weights
from saliency.cli.progress import say, say_notes
from saliency.cli.region_options import Boxes, BoxesFile, move_regions, read_regions
from saliency.comparison import Comparison, RegionChange, compare
from saliency.conditions import Condition
from saliency.files import write_atomically
from saliency.images import read_image
from saliency.insights import require_density
from saliency.predictor import Predictor
from saliency.records import SCHEMA_VERSION, Record, to_record
from saliency.rendering import encode_png

CONDITION_HOLDS = 3
"""Exit code; 1 is an error and 2 wrong usage."""


def compare_versions(
    before_path: Annotated[Path, typer.Argument(metavar="A", help="The first version.")],
    after_path: Annotated[Path, typer.Argument(metavar="B", help="The second version.")],
    boxes: Boxes = None,
    boxes_file: BoxesFile = None,
    boxes_after: Annotated[
        list[str] | None,
        typer.Option(
            "--box-b",
            metavar="NAME=X,Y,WIDTH,HEIGHT",
            help="Where the region NAME of --box or --boxes is in B, if it has moved; repeatable.",
        ),
    ] = None,
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
            "--output",
            "-o",
            help="A PNG: both overlays with the regions, and what gained (orange) or lost (blue).",
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
    of each version, the same in both unless --box-b or COCO annotations say otherwise.

    Exit codes: 0; 1 if something could not be read or computed; 2 for wrong usage; 3 if a
    --fail-if condition holds.

    **Example:** `saliency compare old.png new.png --box cta=40,300,200,60
    --fail-if 'regions.cta.share < 0.1' -o moved.png`
    """
    if picture is not None and picture.resolve() in (before_path.resolve(), after_path.resolve()):
        raise typer.BadParameter("--output should name another file than A and B")
    conditions = [Condition.parse(text) for text in fail_if or ()]
    regions = [read_regions(boxes, boxes_file, path) for path in (before_path, after_path)]
    regions[1] = move_regions(regions[1], boxes_after)
    predictor = Predictor.load(weights, device, backend=backend)
    say(f"{predictor.describe()}")
    prepared = [predictor.prepare(path) for path in (before_path, after_path)]
    before, after = predictor.predict_prepared(prepared, on_all_cores=True)
    say_notes(before_path, before.notes)
    say_notes(after_path, after.notes)
    for found, prediction in zip(regions, (before, after), strict=True):
        found.check_size(prediction.image_size)
    comparison = compare(before, after, regions[0].regions, regions[1].regions)
    first, second = (
        to_record(str(path), prediction, photo.measured)
        for path, prediction, photo in zip(
            (before_path, after_path), (before, after), prepared, strict=True
        )
    )
    results = {
        "before": first.to_json(),
        "after": second.to_json(),
        "score_difference": (
            comparison.score_difference if first.has_content and second.has_content else None
        ),
        "cc": comparison.cc,
        "sim": comparison.sim,
        "moved": comparison.moved,
        "kl_div": comparison.kl_div,
        "regions": {change.name: describe_region(change) for change in comparison.regions},
    }
    held = [condition for condition in conditions if condition.holds(results)]
    if picture is not None:
        drawn = to_change_picture(
            (read_image(before_path), read_image(after_path)),
            (require_density(before.density), require_density(after.density)),
            (
                f"A: {before_path.name}",
                f"B: {after_path.name}",
                f"B - A: {comparison.moved:.1%} of attention moved",
            ),
            (regions[0].regions, regions[1].regions),
        )
        write_atomically(picture, encode_png(drawn))
    if as_json:
        failed = [str(condition) for condition in held]
        told = {"schema_version": SCHEMA_VERSION, **results, "failed": failed}
        print(json.dumps(told, indent=1))
    else:
        print_tables(first, second, comparison)
    for condition in held:
        say(f"failed: {condition} (it is {condition.value_in(results):.4g})", style="red")
    if held:
        raise typer.Exit(CONDITION_HOLDS)


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


def print_tables(before: Record, after: Record, comparison: Comparison) -> None:
    """Print both versions side by side, then how far their maps agree."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("", overflow="fold")
    for heading in ("A", "B", "B - A"):
        table.add_column(heading, justify="right")
    if before.score is not None and after.score is not None:
        first_score, second_score, difference = to_cells(before.score, after.score, ".2f")
        table.add_row(
            "score",
            first_score if before.has_content else "none",
            second_score if after.has_content else "none",
            difference if before.has_content and after.has_content else "",
        )
        words = (v.disagreement if v.has_content else "no picture" for v in (before, after))
        table.add_row("", *words, "")
    first, second = comparison.before, comparison.after
    busiest = to_cells(first.concentration, second.concentration, ".1%")
    table.add_row("attention in the busiest tenth", *busiest)
    spread = to_cells(first.entropy, second.entropy, ".3f")
    table.add_row("entropy (0 in one place, 1 even)", *spread)
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
    """Return two numbers and their difference as text; a difference that rounds to 0 is +0."""
    return f"{before:{style}}", f"{after:{style}}", f"{after - before:+z{style}}"
