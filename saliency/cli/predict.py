"""`saliency predict`: maps, overlays and scores of photos."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from saliency.batch import FAILURES_NAME, MapKind, OverlayKind, Pictures, TableFormat
from saliency.batch.engine import EngineName
from saliency.batch.events import (
    Event,
    Finished,
    PhotoDone,
    PhotoFailed,
    PhotosFound,
    PhotoSkipped,
    ReportProgress,
    Started,
)
from saliency.batch.folder import predict_folder
from saliency.cli.options import Backend, BatchSize, Device, Weights
from saliency.cli.progress import (
    Progress,
    only_results_on_stdout,
    progress,
    say,
    say_notes,
    say_passed_over,
)
from saliency.insights import AspectRatio
from saliency.records import Record
from saliency.rendering import OVERLAY_SIDE_PX
from saliency.stopping import stop_requests

INTERRUPTED = 130
"""Exit code after Ctrl-C, by the convention of shells."""


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...",
            help="Photos, folders (searched at any depth), globs, or - for a list on stdin.",
        ),
    ],
    out_dir: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "predictions"
    ),
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "auto",
    batch_size: BatchSize = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Photos (batches on a GPU) in work at a time; default: one per core. With Ray: "
            "processes; default: one per core or GPU of the cluster.",
        ),
    ] = None,
    engine: Annotated[
        EngineName,
        typer.Option(
            "--engine",
            help="local: threads of this process; ray: processes on this machine or on a cluster.",
        ),
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="RAY_ADDRESS",
            help="Address of a running Ray cluster, auto or HOST:PORT; its machines must see the "
            "folders by the same paths. If not given, Ray is started on this machine.",
        ),
    ] = None,
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="Format of the table predictions.FORMAT.")
    ] = "jsonl",
    overlay: Annotated[
        OverlayKind,
        typer.Option(
            help="Format of the overlay, which shows attention as a glow on the photo; jpg is "
            "faster."
        ),
    ] = "png",
    overlay_size: Annotated[
        int, typer.Option(metavar="PX", min=1, help="Maximum length of an overlay's longer side.")
    ] = OVERLAY_SIDE_PX,
    legend: Annotated[
        bool, typer.Option("--legend", help="Say below an overlay what its colours mean.")
    ] = False,
    saliency_map: Annotated[
        MapKind,
        typer.Option(
            "--map",
            help="Format of the map: peak 65535 (png16), peak 255 (png8), or floats that sum to 1 "
            "(npy).",
        ),
    ] = "png16",
    map_size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            min=1,
            help="Maximum length of a map's longer side; the photo's size if not given.",
        ),
    ] = None,
    crops: Annotated[
        list[str] | None,
        typer.Option(
            "--crop",
            metavar="W:H",
            help="Also write the best crop of this shape, such as 16:9; repeatable; slower.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(help="Skip photos that were done with the same content, weights and options."),
    ] = True,
    watch: Annotated[
        bool, typer.Option("--watch", help="Wait for more photos and predict them, until Ctrl-C.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Also write report.html: charts and a gallery to sort and filter."
        ),
    ] = False,
) -> None:
    """Predict where people look and how good each photo looks.

    For each photo: STEM.overlay.png (attention glowing on the photo), STEM.map.png (the saliency
    map, 16 bits, peak = 65535) and a record in predictions.jsonl (score 1..10, its standard
    deviation and distribution, focal points). Results mirror the folders of the photos. A photo
    that fails is named, listed in failures.jsonl and skipped; the exit code is then 1. After an
    interruption run the same command again; it continues where it stopped.

    **Example:** `saliency predict photos/ -o results --report`
    """
    shapes = tuple(dict.fromkeys(map(AspectRatio.parse, crops or ())))
    with ExitStack() as stack:
        is_stopping = stack.enter_context(stop_requests())
        if engine == "ray":
            stack.enter_context(only_results_on_stdout())  # Ray prints too
        events = predict_folder(
            sources,
            out_dir,
            pictures=Pictures(overlay, overlay_size, saliency_map, map_size, shapes, legend=legend),
            table_format=table_format,
            report=report,
            resume=resume,
            watch=watch,
            weights=weights,
            device=device,
            backend=backend,
            batch_size=batch_size,
            workers=workers,
            engine=engine,
            ray_address=ray_address,
            is_stopping=is_stopping,
        )
        finished = print_events(events, watch=watch)
    if finished.left:
        say(f"stopped, {finished.left} photos left; run the same command again to continue")
        raise typer.Exit(INTERRUPTED)
    if finished.failed:
        raise typer.Exit(1)


def print_events(events: Iterable[Event], *, watch: bool) -> Finished:
    """Print events, results to stdout and the rest to stderr; return the last event."""
    computing, finished = "", None
    with ExitStack() as stack:
        shown: Progress | None = None
        for event in events:
            match event:
                case Started():
                    computing = event.computing
                    if watch:
                        say(f"{computing}, watching for photos; Ctrl-C stops")
                case PhotosFound(total):
                    if not watch:
                        say(f"{computing}, photos: {total}")
                    stack.close()
                    shown = stack.enter_context(progress("predicting", total))
                case PhotoDone(record) | PhotoSkipped(record) if shown:
                    shown.advance(skipped=isinstance(event, PhotoSkipped))
                    say_notes(record.image, record.notes)
                    if verdict := describe_score(record):
                        shown.print_result(f"{verdict}  {record.image}")
                case PhotoFailed(_, error) if shown:
                    shown.advance()
                    say(f"skipped: {error}", style="yellow")
                case ReportProgress(done, total):
                    if done == 1:
                        stack.close()
                        shown = stack.enter_context(progress("report", total))
                    if shown:
                        shown.advance()
                case Finished():
                    stack.close()
                    print_summary(event)
                    finished = event
    assert finished is not None  # noqa: S101  # every job that raises nothing ends with it
    return finished


def describe_score(record: Record) -> str:
    """Return the score and how much people disagree about it, in columns; "" without a score."""
    if record.score is None:
        return ""
    if not record.has_content:
        return f"{'none':>5}  {'no picture':21}"
    return f"{record.score:5.2f}  {record.disagreement:21}"


def print_summary(finished: Finished) -> None:
    """Print to stderr how many photos were predicted, skipped and failed."""
    if finished.report:
        say(f"report: {finished.report}")
    line = f"{finished.done} of {finished.total} photos predicted; results in {finished.out_dir} "
    line += f"(records in {finished.table.name})"
    if finished.skipped:
        line += f"; {finished.skipped} were done before"
    if finished.failed:
        line += f"; {finished.failed} failed (see {FAILURES_NAME})"
    say(line)
    say_passed_over(finished.passed_over)
