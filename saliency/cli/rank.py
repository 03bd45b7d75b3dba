"""`saliency rank`: photos by how good they look, with near-duplicates grouped."""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from saliency.batch import PassedOver, find_photos
from saliency.batch.scoring import ScoredPhoto, UnreadPhoto, score_photos
from saliency.calibration import Calibration
from saliency.checkpoint import find_weights, to_sha256
from saliency.cli.console import stdout
from saliency.cli.options import Backend, BatchSize, Device, Weights
from saliency.cli.progress import progress, say, say_notes, say_passed_over
from saliency.errors import ConfigError
from saliency.predictor import Predictor
from saliency.ranking import RankedPhoto, rank_photos
from saliency.records import SCHEMA_VERSION
from saliency.score_reference import ScoreReference, reference_of
from saliency.sidecars import SidecarFolders, write_rating

COLUMNS = (
    *("image", "rank", "score", "disagreement", "percentile", "stars", "rating", "group", "best"),
    *("quality_flaws", "quality_sharpness", "quality_has_content"),
)
"""Columns of the CSV: those of a photo's rank, and some of its record, named as in tables."""


def rank(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...", help="Photos, folders (searched at any depth) or globs."
        ),
    ],
    calibration_file: Annotated[
        Path | None,
        typer.Option(
            "--calibration", help="File from `saliency calibrate`: adds scores on your own scale."
        ),
    ] = None,
    xmp: Annotated[
        bool,
        typer.Option("--xmp", help="Write stars to a sidecar, photo.jpg.xmp, beside each photo."),
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "auto",
    batch_size: BatchSize = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the table as CSV, for spreadsheets.")
    ] = False,
) -> None:
    """Order photos by aesthetic score, the best first. Nothing is moved or deleted.

    The percentile is the share of 1,700 everyday reference photos that have a lower score; each
    full fifth gives a further star. Photos that show nearly the same (copies, edits, bursts) form a
    group, and the best of each group is marked: the one with the highest score after points are
    taken off for being less sharp where people look, more clipped or noisier than the others.

    Flaws where people look (soft, shaken, blown highlights, black shadows, noise) are named, and
    such a photo gets at most three stars. Files that are no picture (one colour, mere noise) come
    last and get no stars.

    --xmp writes the stars to sidecars that darktable, digiKam (with sidecars switched on) and
    Immich read; Lightroom does not read sidecars of JPEGs. A photo that already has a sidecar or a
    rating (in EXIF, or in XMP of any program) keeps it and is named; IPTC's urgency is no rating.

    A photo that cannot be read is named and left out; the exit code is then 1, as it is if a
    sidecar was not written.

    **Example:** `saliency rank photos/ --csv > ranked.csv`
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    passed_over = PassedOver()
    photos = find_photos(sources, passed_over)
    calibration = None if calibration_file is None else Calibration.load(calibration_file)
    path = find_weights(weights)
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
                say_notes(outcome.path, outcome.record.notes)
    ranked = rank_photos(scored, reference, calibration)
    if as_json:
        print_json(ranked, unread)
    elif as_csv:
        print_csv(ranked)
    else:
        print_table(ranked)
    refused = write_sidecars(ranked) if xmp else 0
    say_passed_over(passed_over.describe())
    if unread:
        say(f"{len(unread)} of {len(photos)} photos could not be read")
    if unread or refused:
        raise typer.Exit(1)


def load_reference(weights: Path, sha256: str, *, needed: bool) -> ScoreReference | None:
    """Return the reference beside the weights; None if it cannot be used and is not needed."""
    try:
        return ScoreReference.load(reference_of(weights), sha256)
    except ConfigError as error:
        if needed:
            raise
        say(f"no percentiles: {error}", style="yellow")
        return None


def write_sidecars(ranked: list[RankedPhoto]) -> int:
    """Write the stars of each photo, name the photos that were refused, and return their number."""
    written = refused = 0
    folders = SidecarFolders()
    for photo in ranked:
        if photo.stars is None:
            continue
        reason = write_rating(photo.path, photo.stars, folders)
        if reason is None:
            written += 1
        else:
            refused += 1
            say(f"no stars written: {reason}", style="yellow")
    say(f"stars of {written} of {len(ranked)} photos are in their sidecars")
    return refused


def print_table(ranked: list[RankedPhoto]) -> None:
    """Print one row per photo, without empty columns."""
    columns: dict[str, list[str]] = {
        "rank": [str(photo.rank) for photo in ranked],
        "score": [f"{p.score:.2f}" if p.record.has_content else "none" for p in ranked],
        "rating": ["" if p.rating is None else f"{p.rating:.2f}" for p in ranked],
        "percentile": [
            "" if p.percentile is None or not p.record.has_content else f"{p.percentile:.0f}"
            for p in ranked
        ],
        "stars": ["" if p.stars is None else "*" * p.stars for p in ranked],
        "group": [name_group(photo) for photo in ranked],
        "flaws": [photo.flaws for photo in ranked],
    }
    shown = {heading: cells for heading, cells in columns.items() if any(cells)}
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for heading in shown:
        text = heading in ("stars", "group", "flaws")
        table.add_column(heading, justify="left" if text else "right", no_wrap=heading != "flaws")
    table.add_column("photo", overflow="fold")
    for photo, cells in zip(ranked, zip(*shown.values(), strict=True), strict=True):
        table.add_row(*cells, escape(str(photo.path)))
    stdout.print(table)


def name_group(photo: RankedPhoto) -> str:
    """Return the number of a photo's group, marked if it is the best; "" without a group."""
    if photo.group is None:
        return ""
    return f"{photo.group} best" if photo.best else str(photo.group)


def print_json(ranked: list[RankedPhoto], unread: list[UnreadPhoto]) -> None:
    """Print all photos, and those that could not be read, as one JSON object."""
    print(
        json.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "photos": [photo.to_json() for photo in ranked],
                "unread": [{"image": str(path), "error": error} for path, error in unread],
            },
            indent=1,
        )
    )


def print_csv(ranked: list[RankedPhoto]) -> None:
    """Print a header line and one line per photo."""
    writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(photo.to_json() | photo.record.to_row() for photo in ranked)
