"""`saliency rank`: photos by how good they look, with near-duplicates grouped."""

import csv
import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from saliency.batch import find_photos
from saliency.calibration import Calibration
from saliency.checkpoint import released_weights, to_sha256
from saliency.cli.console import stdout
from saliency.cli.options import Backend, BatchSize, Device, Weights
from saliency.cli.progress import progress, say
from saliency.errors import ConfigError
from saliency.predictor import Predictor
from saliency.ranking import RankedPhoto, rank_photos
from saliency.score_reference import ScoreReference, reference_of
from saliency.scoring import ScoredPhoto, UnreadPhoto, score_photos
from saliency.sidecars import write_rating

COLUMNS = ("image", "rank", "score", "percentile", "stars", "rating", "group", "best")


def rank(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...", help="Photos, folders (searched at any depth) or globs."
        ),
    ],
    calibration_file: Annotated[
        Path | None,
        typer.Option("--calibration", help="From `saliency calibrate`: adds your own scale."),
    ] = None,
    xmp: Annotated[
        bool, typer.Option("--xmp", help="Write stars to photo.jpg.xmp beside each photo.")
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "auto",
    batch_size: BatchSize = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The table, for spreadsheets.")] = False,
) -> None:
    """Order photos by aesthetic score, the best first. Nothing is moved or deleted.

    The percentile says how many of the reference photos, 1,700 everyday ones, have a lower score;
    each fifth of them is worth a star. Photos that show nearly the same (copies, edits, bursts)
    form a group, and the best of each is marked.

    --xmp writes the stars to sidecars that darktable, digiKam (with sidecars switched on) and
    Immich read; Lightroom reads no sidecars of JPEGs. A photo that has a sidecar or a rating
    already keeps it and is named.

    A photo that cannot be read is named and left out; the exit code is 1 then, and also where a
    sidecar was not written.

    **Example:** `saliency rank photos/ --csv > ranked.csv`
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    photos = find_photos(sources)
    calibration = None if calibration_file is None else Calibration.load(calibration_file)
    path = weights or released_weights()
    predictor = Predictor.load(path, device, backend=backend)
    sha256 = to_sha256(path)
    if calibration is not None:
        calibration.check_weights(sha256)
    reference = load_reference(path, sha256, needed=xmp)
    say(f"{predictor.describe()}, photos: {len(photos)}")
    scored: list[ScoredPhoto] = []
    unread: list[UnreadPhoto] = []
    with progress("ranking", len(photos)) as shown:
        for outcome in score_photos(predictor, [photo.path for photo in photos], batch_size):
            shown.advance()
            if isinstance(outcome, UnreadPhoto):
                unread.append(outcome)
                say(f"skipped: {outcome.error}", style="yellow")
            else:
                scored.append(outcome)
    ranked = rank_photos(scored, reference, calibration)
    if as_json:
        print_json(ranked, unread)
    elif as_csv:
        print_csv(ranked)
    else:
        print_table(ranked)
    refused = write_sidecars(ranked) if xmp else 0
    if unread:
        say(f"{len(unread)} of {len(photos)} photos could not be read")
    if unread or refused:
        raise typer.Exit(1)


def load_reference(weights: Path, sha256: str, *, needed: bool) -> ScoreReference | None:
    """Return the reference beside the weights; without one, percentiles are left out."""
    try:
        return ScoreReference.load(reference_of(weights), sha256)
    except ConfigError as error:
        if needed:
            raise
        say(f"no percentiles: {error}", style="yellow")
        return None


def write_sidecars(ranked: list[RankedPhoto]) -> int:
    """Write the stars of each photo and name those that keep what they have; return how many."""
    refused = 0
    for photo in ranked:
        reason = None if photo.stars is None else write_rating(photo.path, photo.stars)
        if reason is not None:
            refused += 1
            say(f"no stars written: {reason}", style="yellow")
    say(f"stars of {len(ranked) - refused} of {len(ranked)} photos are in their sidecars")
    return refused


def print_table(ranked: list[RankedPhoto]) -> None:
    """Print a row a photo, without the columns that nothing is known for."""
    columns: dict[str, list[str]] = {
        "rank": [str(photo.rank) for photo in ranked],
        "score": [f"{photo.score:.2f}" for photo in ranked],
        "rating": ["" if p.rating is None else f"{p.rating:.2f}" for p in ranked],
        "percentile": ["" if p.percentile is None else f"{p.percentile:.0f}" for p in ranked],
        "stars": ["" if p.stars is None else "*" * p.stars for p in ranked],
        "group": [name_group(photo) for photo in ranked],
    }
    shown = {heading: cells for heading, cells in columns.items() if any(cells)}
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for heading in shown:
        text = heading in ("stars", "group")
        table.add_column(heading, justify="left" if text else "right", no_wrap=True)
    table.add_column("photo", overflow="fold")
    for photo, cells in zip(ranked, zip(*shown.values(), strict=True), strict=True):
        table.add_row(*cells, escape(str(photo.path)))
    stdout.print(table)


def name_group(photo: RankedPhoto) -> str:
    """Return the number of a photo's group, with a mark on its best; nothing outside of groups."""
    if photo.group is None:
        return ""
    return f"{photo.group} best" if photo.best else str(photo.group)


def print_json(ranked: list[RankedPhoto], unread: list[UnreadPhoto]) -> None:
    """Print all photos, and those that could not be read, as one object."""
    print(
        json.dumps(
            {
                "photos": [to_row(photo) for photo in ranked],
                "unread": [{"image": str(path), "error": error} for path, error in unread],
            },
            indent=1,
        )
    )


def print_csv(ranked: list[RankedPhoto]) -> None:
    """Print a line a photo under a line of names."""
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(to_row, ranked))


def to_row(photo: RankedPhoto) -> dict[str, Any]:
    """Return the fields of `photo` under their own names, the path as `image`."""
    fields = dataclasses.asdict(photo)
    return {"image": str(fields.pop("path")), **fields}
