"""`saliency data describe`: statistics and drawings of labelled sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
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

if TYPE_CHECKING:
    from saliency.curation.describe import Description


def describe(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="SET...", help="Folders of sets, packed or in their original layout."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PAGE.html", help="HTML page to write.")
    ] = Path("sets.html"),
    images: Annotated[
        int, typer.Option("--images", min=0, help="Number of images to read of each set; 0: all.")
    ] = 2000,
    low: Annotated[float, typer.Option("--low", help="Worst rating in a ratings.csv.")] = 1,
    high: Annotated[float, typer.Option("--high", help="Best rating in a ratings.csv.")] = 7,
    workers: Workers = None,
) -> None:
    """Print and draw statistics of labelled sets: ratings, mean density, fixations, sizes.

    The page is one file that works from disk. Numbers of images count the whole set; all other
    figures come from --images of them, spread evenly. Images that cannot be read are counted and
    left out.

    **Example:** `saliency data describe DATA/ava DATA/salicon -o sets.html`
    """
    with training_extra("data describe"):
        from saliency.curation.describe import describe as describe_set
        from saliency.curation.describe import open_set
        from saliency.curation.page import write_page

    opened = [open_set(folder, images, low, high) for folder in folders]
    try:
        with progress("reading", sum(len(each.indices) for each in opened)) as shown:
            found = [describe_set(each, workers or count_cores(), shown.advance) for each in opened]
    except KeyboardInterrupt:
        say("stopped; nothing was written")
        raise typer.Exit(INTERRUPTED) from None
    write_page(found, output)
    print_table(found)
    say(f"page in {output}")


def print_table(descriptions: Sequence[Description]) -> None:
    """Print one line per set, and the images that cannot be read."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for heading in (
        "set",
        "images",
        "train",
        "val",
        "test",
        "pixels",
        "fixations",
        "score",
        "votes",
    ):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for found in descriptions:
        size = "x".join(
            f"{median(side):.0f}" for side in reversed(list(zip(*found.sizes, strict=True)))
        )
        table.add_row(
            escape(found.name),
            f"{found.images:,}",
            *(f"{found.parts.get(part, 0):,}" for part in ("train", "val", "test")),
            size,
            f"{median(found.fixations):,.0f}" if found.fixations else "",
            f"{fmean(found.scores):.2f}" if found.scores else "",
            f"{median(found.votes):,.0f}" if found.votes else "",
        )
    stdout.print(table)
    stdout.print(
        "pixels, fixations and votes: medians over images; score: mean over images", highlight=False
    )
    for found in descriptions:
        if found.damaged:
            say(f"{found.name}: {len(found.damaged)} of {found.looked} images cannot be read:")
            say(f"{found.damaged[0]}" + ("; ..." if len(found.damaged) > 1 else ""))
