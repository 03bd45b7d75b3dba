"""`saliency predict`: photos in, maps, overlays and scores out."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from saliency import __version__
from saliency.backends import BackendName
from saliency.batch import (
    FAILURES_NAME,
    Journal,
    MapKind,
    Outcome,
    OverlayKind,
    Photo,
    Pictures,
    TableFormat,
    Watcher,
    check_format,
    find_files,
    name_photos,
    name_table,
    to_fingerprint,
    to_output_error,
    write_failures,
    write_table,
)
from saliency.batch.engine import Engine, EngineName, LocalEngine
from saliency.checkpoint import identify, released_weights
from saliency.cli.options import Backend, BatchSize, Device, Weights
from saliency.cli.progress import Progress, print_results_to, progress, say
from saliency.devices import count_cores
from saliency.errors import ConfigError, SaliencyError
from saliency.insights import AspectRatio
from saliency.predictor import Predictor
from saliency.rendering import OVERLAY_SIDE_PX
from saliency.stopping import stop_requests

POLL_S = 1.0
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


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
            help="Photos (batches on a GPU) in work at a time; one a core. With Ray processes; one "
            "a core or GPU of the cluster.",
        ),
    ] = None,
    engine_name: Annotated[
        EngineName,
        typer.Option("--engine", help="Threads, or Ray: processes, here or on a cluster."),
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="RAY_ADDRESS",
            help="A running cluster, as auto or HOST:PORT, whose machines see the folders by the "
            "same paths; not given: Ray is started here.",
        ),
    ] = None,
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="Of the table predictions.FORMAT.")
    ] = "jsonl",
    overlay: Annotated[
        OverlayKind, typer.Option(help="Attention glowing on the photo; jpg is faster.")
    ] = "png",
    overlay_size: Annotated[
        int, typer.Option(metavar="PX", min=1, help="Longer side of an overlay, at most.")
    ] = OVERLAY_SIDE_PX,
    saliency_map: Annotated[
        MapKind,
        typer.Option("--map", help="Peak 65535 or 255, or floats that sum to 1."),
    ] = "png16",
    map_size: Annotated[
        int | None,
        typer.Option(
            metavar="PX", min=1, help="Longer side of a map, at most; the photo's if not given."
        ),
    ] = None,
    crops: Annotated[
        list[str] | None,
        typer.Option(
            "--crop", metavar="W:H", help="Also the best crop of this shape; repeatable; slower."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Skip what is done for this content, weights and options.")
    ] = True,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what arrives, until Ctrl-C.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option("--report", help="Also report.html: a gallery to sort and filter, charts."),
    ] = False,
) -> None:
    """Predict where people look and how good each photo looks.

    For each photo: STEM.overlay.png (attention glowing on the photo), STEM.map.png (the saliency
    map, 16 bits, peak = 65535) and a record in predictions.jsonl (score 1..10, its standard
    deviation and distribution, focal points), in the layout of the folder. A photo that fails is
    named, listed in failures.jsonl and skipped; the exit code is 1 then. Stopped by whatever, the
    same command goes on.

    **Example:** `saliency predict photos/ -o results --report`
    """
    check_format(table_format)
    shapes = tuple(dict.fromkeys(map(AspectRatio.parse, crops or ())))
    pictures = Pictures(overlay, overlay_size, saliency_map, map_size, shapes)
    if watch and "-" in sources:
        raise ConfigError("`--watch` should have folders or globs to look at. Found a list, -.")
    if watch and engine_name == "ray":
        raise ConfigError("`--watch` should go with the engine local. Found ray.")
    watcher = Watcher(sources) if watch else None
    found = [] if watch else list(find_files(sources))
    with (
        stop_requests() as is_stopping,
        _open_engine(
            engine_name, ray_address, weights, device, backend, batch_size, workers
        ) as engine,
    ):
        made_by = to_fingerprint(
            version=__version__,
            weights=identify(weights or released_weights()),
            backend=engine.backend,
            precision=engine.precision,
            pictures=asdict(pictures),
        )
        try:
            journal = Journal(out_dir, made_by, resume=resume)
        except OSError as error:
            raise to_output_error(out_dir, error) from error
        with journal:
            run = _Run(
                engine=engine,
                journal=journal,
                pictures=pictures,
                table_format=table_format,
                is_stopping=is_stopping,
                report=_settings(engine, weights, pictures) if report else None,
            )
            if watcher is not None:
                run.watch(watcher)
            else:
                run.predict(name_photos(found, journal.owners()))


@contextmanager
def _open_engine(
    name: EngineName,
    ray_address: str | None,
    weights: Path | None,
    device: str,
    backend: BackendName,
    batch_size: int | None,
    workers: int | None,
) -> Iterator[Engine]:
    """Yield what predicts; a Ray that was started for it ends with the context."""
    if name == "local":
        workers = workers or count_cores()
        threads = workers if workers > 1 else None
        predictor = Predictor.load(weights, device, backend=backend, threads=threads)
        yield LocalEngine(predictor, batch_size or predictor.batch_size, workers)
        return
    try:
        from saliency.batch.ray_engine import RayEngine, run_ray
    except ImportError as error:
        raise ConfigError(
            "The engine ray needs Ray, which is not installed; to get it: "
            "pip install 'aesthetic-saliency[ray]'"
        ) from error
    print_results_to(sys.stdout)  # what Ray itself prints is none
    with redirect_stdout(sys.stderr), run_ray(ray_address):
        yield RayEngine(weights, device, backend, workers=workers, batch_size=batch_size)


def _settings(engine: Engine, weights: Path | None, pictures: Pictures) -> dict[str, str]:
    """Return what a report says of how its results were made."""
    path = weights or released_weights()
    options = ", ".join(f"{name} {value}" for name, value in asdict(pictures).items() if value)
    return {
        "Package": f"aesthetic-saliency {__version__}",
        "Weights": f"{path.name}, SHA-256 {identify(path)}",
        "Device": f"{engine.device}, {engine.precision}",
        "Pictures": options,
        "Written": time.strftime("%Y-%m-%d %H:%M %Z"),
    }


@dataclass
class _Run:
    """One call of the command."""

    engine: Engine
    journal: Journal
    pictures: Pictures
    table_format: TableFormat
    is_stopping: Callable[[], bool]
    report: dict[str, str] | None
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    resumed: int = 0

    def predict(self, photos: Sequence[Photo]) -> None:
        """Predict photos that are there."""
        say(f"{self.engine.describe()}, photos: {len(photos)}")
        rows = [photo.name for photo in photos]
        self._predict(photos, rows)
        self._report(rows)
        self._sum_up(len(photos))
        if (left := len(photos) - len(self.done) - len(self.failed)) > 0:
            say(f"stopped with {left} photos to go; the same command goes on")
            raise typer.Exit(INTERRUPTED)
        if self.failed:
            raise typer.Exit(1)

    def watch(self, watcher: Watcher) -> None:
        """Predict what arrives until a stop is asked for; the table keeps what has gone since."""
        say(f"{self.engine.describe()}, watching; Ctrl-C ends it")
        while not self.is_stopping():
            began = time.monotonic()
            if arrived := watcher.poll():
                self._predict(name_photos(arrived, self.journal.owners()), None)
            took = time.monotonic() - began
            self._pause(max(POLL_S, 4 * took))  # a large folder is not looked through all the time
        self._report(None)
        self._sum_up(len(self.done) + len(self.failed))
        if self.failed:
            raise typer.Exit(1)

    def _predict(self, photos: Sequence[Photo], rows: Sequence[str] | None) -> None:
        """Predict photos and write the table of `rows`, None for all; it is written anyway."""
        outcomes = self.engine.predict_files(
            photos, self.journal, self.pictures, is_stopping=self.is_stopping
        )
        try:
            with progress("predicting", len(photos)) as shown:
                for outcome in outcomes:
                    self._tell(outcome, shown)
        except SaliencyError:
            with suppress(OSError):  # even a full disk may have room for it
                self._write_tables(rows)
            raise
        try:
            self._write_tables(rows)
        except OSError as error:
            raise to_output_error(self.journal.out_dir, error) from error

    def _tell(self, outcome: Outcome, shown: Progress) -> None:
        name, entry = outcome.photo.name, outcome.entry
        shown.advance(skipped=outcome.resumed)
        self.resumed += outcome.resumed
        if entry.record is None:
            self.failed.add(name)
            say(f"skipped: {entry.error}", style="yellow")
            return
        self.done.add(name)
        self.failed.discard(name)  # while watching: it was not whole before
        if (score := entry.record["score"]) is not None:
            shown.print_result(f"{score:5.2f}  {entry.image}")

    def _write_tables(self, rows: Sequence[str] | None) -> None:
        journal, out_dir = self.journal, self.journal.out_dir
        write_table(out_dir, self.table_format, journal.entries(rows), self.pictures.crops)
        write_failures(out_dir, journal.entries(rows))

    def _report(self, rows: Sequence[str] | None) -> None:
        """Write the page if it was asked for."""
        if self.report is None:
            return
        from saliency.report import write_report  # Jinja2 is not needed without it

        total = len(self.done) + self.resumed if rows is None else len(rows)
        try:
            with progress("report", total) as shown:
                path = write_report(
                    self.journal.out_dir,
                    lambda: self.journal.entries(rows),
                    self.report,
                    workers=count_cores(),
                    on_photo=shown.advance,
                )
        except OSError as error:
            raise to_output_error(self.journal.out_dir, error) from error
        say(f"report: {path}")

    def _sum_up(self, total: int) -> None:
        line = f"{len(self.done)} of {total} photos predicted; results in {self.journal.out_dir} "
        line += f"(records in {name_table(self.table_format)})"
        if self.resumed:
            line += f"; {self.resumed} were done before"
        if self.failed:
            line += f"; {len(self.failed)} failed (see {FAILURES_NAME})"
        say(line)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.is_stopping():
            time.sleep(0.1)
