"""`saliency data check`: is a copy of a data set complete and undamaged?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from saliency.cli.console import stdout
from saliency.cli.data_options import INTERRUPTED, Workers
from saliency.cli.extras import training_extra
from saliency.cli.progress import progress, say
from saliency.devices import count_cores
from saliency.errors import DatasetError

if TYPE_CHECKING:
    from saliency.curation.check.findings import Copy, CopyReport

SHOWN, SHOWN_CHARACTERS = 3, 120
"""Largest number of names in a cell of the table, and characters of each; the JSON has all."""


def check(
    ava: Annotated[
        Path | None, typer.Option("--ava", help="Folder with AVA.txt, images and lists.")
    ] = None,
    salicon: Annotated[
        Path | None, typer.Option("--salicon", help="Folder with images, maps and fixations.")
    ] = None,
    osie: Annotated[
        list[Path] | None,
        typer.Option("--osie", help="Folder with stimuli and eye/fixations.mat; repeatable."),
    ] = None,
    ratings: Annotated[
        list[Path] | None,
        typer.Option("--ratings", metavar="CSV", help="A CSV beside its images; repeatable."),
    ] = None,
    low: Annotated[float, typer.Option("--low", help="Worst rating of --ratings.")] = 1,
    high: Annotated[float, typer.Option("--high", help="Best rating of --ratings.")] = 7,
    packed: Annotated[
        list[Path] | None,
        typer.Option(
            "--packed", help="Folder of a packed set, whose checksums are compared; repeatable."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.json",
            help="Write the full report, with all names, to this JSON file.",
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Read every file of your copies of the data sets and report what is missing or damaged.

    Counts rows, images and labels, finds images without labels and labels without images, decodes
    every image and label completely, compares sizes, and finds images of equal pixels in different
    parts. Training leaves out images that are missing or damaged, so you decide what to repair.

    The exit code is 0 if everything is fine, 1 if not, 130 after Ctrl-C.

    **Example:** `saliency data check --ava DATA/ava --salicon DATA/salicon --report check.json`
    """
    with training_extra("data check"):
        from saliency.curation.check.ava import AvaCopy
        from saliency.curation.check.findings import CopyReport, problem, save_reports
        from saliency.curation.check.osie import OsieCopy
        from saliency.curation.check.packed import PackedCopy
        from saliency.curation.check.ratings import RatingsCopy
        from saliency.curation.check.salicon import SaliconCopy

    wanted: list[tuple[str, Path, Callable[[Path], Copy]]] = [
        *((("AVA", ava, AvaCopy),) if ava else ()),
        *((("SALICON", salicon, SaliconCopy),) if salicon else ()),
        *(("OSIE layout", folder, OsieCopy) for folder in osie or ()),
        *(("ratings", table, lambda path: RatingsCopy(path, low, high)) for table in ratings or ()),
        *(("packed", folder, PackedCopy) for folder in packed or ()),
    ]
    if not wanted:
        raise typer.BadParameter("name a copy with --ava, --salicon, --osie, --ratings or --packed")
    copies: list[Copy] = []
    reports: list[CopyReport] = []
    for name, path, open_copy in wanted:
        try:
            copies.append(open_copy(path))
        except DatasetError as error:  # concerns one copy; the others are still checked
            finding = problem("folders or label files not as expected", [str(error)])
            reports.append(CopyReport(name, path, (finding,)))
    try:
        with progress("checking", sum(map(len, copies))) as shown:
            reports.extend(copy.check(workers or count_cores(), shown.advance) for copy in copies)
    except KeyboardInterrupt:
        say("stopped before everything was checked; no report was written")
        raise typer.Exit(INTERRUPTED) from None
    for found in reports:
        print_report(found)
    if report is not None:
        save_reports(reports, report)
        say(f"report in {report}")
    if not all(found.ok for found in reports):
        raise typer.Exit(1)


def print_report(report: CopyReport) -> None:
    """Print a line for each count."""
    table = Table(
        title=escape(f"{report.name}, {report.folder}"),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    table.add_column("")
    table.add_column("found", justify="right")
    table.add_column("expected", justify="right")
    table.add_column("which", overflow="fold")
    for finding in report.findings:
        names = "; ".join(shorten(name) for name in finding.names[:SHOWN])
        if len(finding.names) > SHOWN:
            names += "; ..."
        table.add_row(
            finding.title,
            f"{finding.found:,}",
            "" if finding.expected is None else f"{finding.expected:,}",
            escape(names),
            style=None if finding.ok else "yellow",
        )
    stdout.print(table)


def shorten(name: str) -> str:
    """Return a name shortened to fit into a cell."""
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}..."
