"""`saliency bench`: what predicting costs on this machine, against limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from saliency.backends import BackendName
from saliency.cli.console import stderr, stdout
from saliency.cli.options import Device, Weights
from saliency.cli.progress import say
from saliency.files import write_atomically

if TYPE_CHECKING:
    from saliency.bench import tables
    from saliency.bench.baseline import Change


def bench(
    backends: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            metavar="NAME",
            help="torch, onnx or openvino; repeatable; all that are installed if not given.",
        ),
    ] = None,
    photo_sizes: Annotated[
        list[float] | None,
        typer.Option(
            "--photo-size", metavar="MEGAPIXELS", min=0.01, help="Repeatable; 0.3, 2, 12, 50."
        ),
    ] = None,
    batch_sizes: Annotated[
        list[int] | None,
        typer.Option(
            "--batch-size", "-b", min=1, help="Of the forward alone; repeatable; 1 and 8."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, help="For each figure; all take about two minutes.")
    ] = 0.3,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Each forward on one core, as where this many callers compute."),
    ] = None,
    photo: Annotated[
        Path | None, typer.Option(help="Its content, at every size; a drawing if not given.")
    ] = None,
    two_networks: Annotated[
        bool,
        typer.Option(
            "--two-networks", help="Also against two networks for one answer each; a minute more."
        ),
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Everything, for programs.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="The tables with charts.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="From --json: exit code 1 if a ratio got worse by over 15 %."
        ),
    ] = None,
) -> None:
    """Measure decoding, preprocessing, the network and what comes after it on this machine.

    Each is held against a limit that is measured in the same run: the barest decode of the same
    JPEG files, the machine's arithmetic and memory (a roofline), the cores. What is compared takes
    turns, so that other work hurts all alike: quote the ratios.

    **Example:** `saliency bench --json bench.json`, later `saliency bench --against bench.json`
    """
    from saliency.bench.baseline import find_changes, load_baseline
    from saliency.bench.page import write_page
    from saliency.bench.run import Plan, run_bench
    from saliency.bench.tables import describe, to_tables

    baseline = None if against is None else load_baseline(against)
    default = Plan()
    plan = Plan(
        backends=tuple(cast(list[BackendName], backends or ())),  # checked where they are opened
        batch_sizes=tuple(batch_sizes or default.batch_sizes),
        photo_sizes=tuple(photo_sizes or default.photo_sizes),
        seconds=seconds,
        threads=threads,
        device=device,
        weights=weights,
        photo=photo,
        two_networks=two_networks,
    )
    with stderr.status("starting") as status:

        def show(part: str) -> None:
            status.update(part)
            if not stderr.is_terminal:
                say(part)

        results = run_bench(plan, show)
    for line in describe(results):
        stdout.print(line, highlight=False, markup=False, soft_wrap=True)
    for table in to_tables(results):
        print_table(table)
    if json_file is not None:
        write_atomically(json_file, json.dumps(results.to_json(), indent=1).encode())
    if html_file is not None:
        write_page(results, html_file)
    if baseline is None:
        return
    if baseline.cpu != results.machine.cpu:
        say(f"the baseline is of another processor: {baseline.cpu}", style="yellow")
    changes = find_changes(baseline, results)
    worse = [change for change in changes if change.is_worse]
    print_changes(worse, len(changes))
    if worse:
        raise typer.Exit(1)


def print_table(table: tables.Table) -> None:
    """Print a table with its title and its note."""
    stdout.print()
    stdout.print(table.title, style="bold", highlight=False, markup=False)
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for number, column in enumerate(table.columns):
        justify: Literal["left", "right"] = "left" if number < table.labels else "right"
        shown.add_column(column, justify=justify, no_wrap=True)
    for group in table.groups:
        for row in group:
            shown.add_row(*map(escape, row), end_section=row is group[-1])
    stdout.print(shown)
    stdout.print(table.note, style="dim", highlight=False, markup=False)


def print_changes(worse: list[Change], compared: int) -> None:
    """Print what is worse than in the baseline."""
    stdout.print()
    for change in worse:
        stdout.print(
            f"worse by {change.share:.0%}: {change.now.name}: {change.before.value:.2f} then, "
            f"{change.now.value:.2f} now",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    stdout.print(
        f"{len(worse)} of {compared} ratios are worse than in the baseline", highlight=False
    )
