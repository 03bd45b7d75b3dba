"""`saliency bench`: time and memory of a prediction on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

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
    from saliency.bench.results import Change, Results


def bench(
    backends: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            metavar="NAME",
            help="torch, onnx or openvino; repeatable; all installed ones if not given.",
        ),
    ] = None,
    photo_sizes: Annotated[
        list[float] | None,
        typer.Option(
            "--photo-size",
            metavar="MEGAPIXELS",
            min=0.01,
            help="Megapixels of the photo; repeatable; 0.3, 2, 12 and 50 if not given.",
        ),
    ] = None,
    batch_sizes: Annotated[
        list[int] | None,
        typer.Option(
            "--batch-size",
            "-b",
            min=1,
            help="Batch size of the network alone; repeatable; 1 and 8 if not given.",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="Seconds of measuring for each figure; all together take about two minutes.",
        ),
    ] = 0.3,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Run the network on one core per call, as with this many callers at once."
        ),
    ] = None,
    photo: Annotated[
        Path | None,
        typer.Option(help="Photo to measure with, scaled to every size; a drawing if not given."),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all figures to this JSON file."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of an earlier --json; exit code 1 if a ratio is over 15 % worse.",
        ),
    ] = None,
) -> None:
    """Measure decoding, preprocessing, the network and postprocessing on this machine.

    Each is compared with a limit that is measured in the same run: the fastest plain decode of the
    same JPEG file, PyTorch without tuning, and the number of cores. The two sides of a comparison
    take turns, so that other programs disturb both alike. Quote the ratios, not the times.

    **Example:** `saliency bench --json bench.json`, later `saliency bench --against bench.json`
    """
    from saliency.bench.results import Baseline
    from saliency.bench.run import Plan, run_bench

    baseline = None if against is None else Baseline.load(against)
    default = Plan()
    plan = Plan(
        backends=tuple(cast(list[BackendName], backends or ())),  # checked on opening
        batch_sizes=tuple(batch_sizes or default.batch_sizes),
        photo_sizes=tuple(photo_sizes or default.photo_sizes),
        seconds=seconds,
        threads=threads,
        device=device,
        weights=weights,
        photo=photo,
    )
    with stderr.status("starting") as status:

        def show(part: str) -> None:
            status.update(part)
            if not stderr.is_terminal:
                say(part)

        results = run_bench(plan, show)
    print_results(results)
    if json_file is not None:
        write_atomically(json_file, json.dumps(results.to_json(), indent=1).encode())
    if baseline is None:
        return
    if baseline.cpu != results.machine.cpu:
        say(f"the baseline was measured on another processor: {baseline.cpu}", style="yellow")
    changes = baseline.changes(results.ratios)
    worse = [change for change in changes if change.is_worse]
    print_changes(worse, len(changes))
    if worse:
        raise typer.Exit(1)


def print_results(results: Results) -> None:
    """Print the machine, the versions, the costs, the memory and the ratios."""
    from saliency.bench.timing import Spread

    machine = results.machine
    print_line(
        f"{machine.cpu}, {machine.cores} cores, {machine.system}, Python {machine.python}"
        + (f", {machine.gpu}" if machine.gpu else "")
    )
    print_line(", ".join(f"{name} {version}" for name, version in machine.packages.items()))
    print_line(
        f"aesthetic-saliency {results.project}, weights {results.weights['version']} "
        f"(SHA-256 {results.weights['sha256'][:12]}), device {results.options['device']}"
    )
    for name, reason in results.missing.items():
        print_line(f"not measured: {name}. {reason}")
    costs = []
    for label, rounds_ms in results.timings.items():
        ms, low, high = Spread.of(rounds_ms)
        what = [
            "" if label.megapixels is None else f"{label.megapixels:g}",
            "" if label.batch_size is None else str(label.batch_size),
            "core" if label.one_thread else "clock",
        ]
        numbers = [digits(ms), f"{digits(low)}-{digits(high)}"]
        costs.append([label.stage, label.backend or "", *what, *numbers])
    print_table(
        "Cost of a photo",
        ("stage", "backend", "MP", "batch", "by", "ms", "quartiles"),
        costs,
        "core: milliseconds of processor time on one thread; clock: elapsed ones on all cores. "
        "eager: PyTorch without tuning, channels first, float32. bare: the decoder alone.",
    )
    print_table(
        "Peak memory of a process that predicted eight photos of each size",
        ("backend", "", "MP", "MiB", "GPU MiB"),
        (
            [
                row["backend"],
                "",
                f"{row['megapixels']:g}",
                *(
                    "" if row[key] is None else f"{row[key] / 2**20:.0f}"
                    for key in ("ram_bytes", "gpu_bytes")
                ),
            ]
            for row in results.memory
        ),
        "Empty: not known on this system.",
    )
    print_table(
        "Ratios within rounds, lower is better",
        ("cost / limit", "", "ratio", "quartiles"),
        ([r.name, "", f"{r.value:.2f}", f"{r.low:.2f}-{r.high:.2f}"] for r in results.ratios),
        "bare decode: the fastest decode of the same file; at full size for decode, also scaled "
        "for prepare. ceiling: the sum of a photo's steps on one thread, over the cores.",
    )


def print_line(text: str, style: str | None = None) -> None:
    """Print a line without markup or wrapping."""
    stdout.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], note: str
) -> None:
    """Print a table with its title and its note; its first two columns are text."""
    stdout.print()
    print_line(title, style="bold")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    stdout.print(table)
    stdout.print(note, style="dim", highlight=False, markup=False)


def digits(value: float) -> str:
    """Return `value` with about three significant digits and without an exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def print_changes(worse: Sequence[Change], compared: int) -> None:
    """Print the ratios that are worse than in the baseline."""
    stdout.print()
    for change in worse:
        print_line(
            f"worse by {change.growth:.0%}: {change.now.name}: {change.before.value:.2f} then, "
            f"{change.now.value:.2f} now",
            style="red",
        )
    print_line(f"{len(worse)} of {compared} ratios are worse than in the baseline")
