"""The whole job of `saliency predict`: pictures, records, a table and a report of many photos."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from saliency import __version__
from saliency.backends import BackendName
from saliency.batch.engine import Engine, EngineName, open_engine
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
from saliency.batch.find import RESULT_NAME, STDIN, Found, find_files
from saliency.batch.journal import Journal, to_fingerprint
from saliency.batch.naming import Photo, name_photos
from saliency.batch.passed_over import PassedOver
from saliency.batch.pictures import Pictures
from saliency.batch.tables import (
    TableFormat,
    check_format,
    name_table,
    write_failures,
    write_table,
)
from saliency.batch.watch import Watcher
from saliency.batch.writing import to_output_error
from saliency.checkpoint import find_weights, identify
from saliency.errors import ConfigError
from saliency.records import SCHEMA_VERSION
from saliency.score_reference import ScoreReference, find_reference

POLL_S = 1.0
"""Shortest time between two looks through a watched folder, in seconds."""


def predict_folder(
    sources: str | os.PathLike[str] | Sequence[str],
    out_dir: str | os.PathLike[str] = "predictions",
    *,
    pictures: Pictures = Pictures(),  # noqa: B008 (frozen)
    table_format: TableFormat = "jsonl",
    report: bool = False,
    resume: bool = True,
    watch: bool = False,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    backend: BackendName = "auto",
    batch_size: int | None = None,
    workers: int | None = None,
    engine: EngineName = "local",
    ray_address: str | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Do what `saliency predict` does, and yield an event for each step.

    Nothing happens before the first event is asked for. If you stop iterating, the results so far
    are kept, and the same call later continues where it stopped. The table is written at the end,
    also after an error.

    Args:
        sources: Files, folders (searched at any depth), globs, or "-" for a list on stdin.
        out_dir: Folder of the results; they mirror the folders of the photos.
        pictures: Which pictures to draw of each photo.
        table_format: Format of the table of records.
        report: Whether to write `report.html` as well.
        resume: Whether to skip photos that were done with the same content, weights and options.
        watch: Whether to wait for more photos and predict them, until `is_stopping`.
        weights: As for `Predictor.load`.
        device: As for `Predictor.load`.
        backend: As for `Predictor.load`.
        batch_size: Photos that go through the network together; None: chosen for the device.
        workers: Photos, or batches on a GPU, in work at a time; None: one per core.
        engine: Threads of this process, or Ray's workers.
        ray_address: Address of a running cluster; None starts Ray on this machine.
        is_stopping: Once it returns True, no photo is begun and those in work are finished.

    Yields:
        `Started`; `PhotosFound`; `PhotoDone`, `PhotoSkipped` or `PhotoFailed` for each photo, in
        order (with Ray in any order); `ReportProgress`; `Finished`.

    Raises:
        SaliencyError: An option makes no sense, a source names nothing, the weights cannot be
            loaded, or the results cannot be written.

    Example:
        >>> for event in predict_folder("photos", "results"):  # doctest: +SKIP
        ...     if isinstance(event, PhotoDone):
        ...         print(event.record.image, event.record.score)
    """
    sources = [os.fspath(sources)] if isinstance(sources, str | os.PathLike) else list(sources)
    check_format(table_format)
    if watch and STDIN in sources:
        raise ConfigError("`--watch` needs folders or globs. Found `-`, a list on standard input.")
    if watch and engine == "ray":
        raise ConfigError("`--watch` works with `--engine local` alone. Found ray.")
    watcher = Watcher(sources) if watch else None
    passed_over = PassedOver()
    found = [] if watch else list(find_files(sources, passed_over=passed_over))
    path = find_weights(weights)
    with open_engine(
        engine,
        weights=None if weights is None else path,  # None: each of Ray's machines uses its own copy
        device=device,
        backend=backend,
        batch_size=batch_size,
        workers=workers,
        ray_address=ray_address,
    ) as opened:
        made_by = to_fingerprint(
            version=__version__,
            schema=SCHEMA_VERSION,
            weights=identify(path),
            backend=opened.computing.backend,
            precision=opened.computing.precision,
            pictures=asdict(pictures),
        )
        out_dir = Path(out_dir)
        with _naming_output(out_dir):
            journal = Journal(out_dir, made_by, resume=resume)
        with journal:
            settings = _to_settings(opened, path, pictures) if report else None
            reference = find_reference(path, identify(path)) if report else None
            run = _Run(opened, journal, pictures, table_format, settings, reference, is_stopping)
            yield Started(opened.describe())
            if watcher is not None:
                yield from run.watch(watcher)
            else:
                yield from run.predict(run.name(found), passed_over)


def _names_of_photos(found: Sequence[Found], out_dir: Path) -> dict[str, str]:
    """Return the names whose results would replace photos, and these photos' real paths."""
    root = os.path.realpath(out_dir)
    names = {}
    for path in (one.path for one in found if RESULT_NAME.search(one.path)):
        real_path = os.path.realpath(path)
        if Path(real_path).is_relative_to(root):
            names[os.path.relpath(RESULT_NAME.sub("", real_path), root)] = real_path
    return names


@contextmanager
def _naming_output(out_dir: Path) -> Iterator[None]:
    """Turn an OSError into an error that names the output folder."""
    try:
        yield
    except OSError as error:
        raise to_output_error(out_dir, error) from error


def _to_settings(engine: Engine, weights: Path, pictures: Pictures) -> dict[str, str]:
    """Return the settings that a report names: version, weights, device, pictures, time."""
    options = ", ".join(f"{name} {value}" for name, value in asdict(pictures).items() if value)
    return {
        "Package": f"aesthetic-saliency {__version__}",
        "Weights": f"{weights.name}, SHA-256 {identify(weights)}",
        "Device": f"{engine.computing.device}, {engine.computing.precision}",
        "Pictures": options,
        "Written": time.strftime("%Y-%m-%d %H:%M %Z"),
    }


@dataclass
class _Run:
    """One call of `predict_folder`, and the outcome of its photos so far."""

    engine: Engine
    journal: Journal
    pictures: Pictures
    table_format: TableFormat
    report_settings: dict[str, str] | None
    reference: ScoreReference | None
    is_stopping: Callable[[], bool]
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: int = 0

    def name(self, found: Sequence[Found]) -> list[Photo]:
        """Name the results of photos; photos in the output folder keep what they are named."""
        owners = self.journal.owners() | _names_of_photos(found, self.journal.out_dir)
        return name_photos(found, owners)

    def predict(self, photos: Sequence[Photo], passed_over: PassedOver) -> Iterator[Event]:
        """Predict the photos that were found."""
        rows = [photo.name for photo in photos]
        yield from self._predict(photos, rows)
        yield from self._write_report(rows)
        yield self._finish(len(photos), passed_over)

    def watch(self, watcher: Watcher) -> Iterator[Event]:
        """Predict photos that arrive until a stop is asked for; rows of deleted photos stay."""
        while not self.is_stopping():
            began = time.monotonic()
            if arrived := watcher.poll():
                yield from self._predict(self.name(arrived), None)
            took = time.monotonic() - began
            self._pause(max(POLL_S, 4 * took))  # a large folder is searched a fifth of the time
        yield from self._write_report(None)
        yield self._finish(len(self.done) + len(self.failed), watcher.passed_over)

    def _predict(self, photos: Sequence[Photo], rows: Sequence[str] | None) -> Iterator[Event]:
        """Predict photos and write the table of `rows` (None: all), also after an error."""
        yield PhotosFound(len(photos))
        outcomes = self.engine.predict_files(
            photos, self.journal, self.pictures, is_stopping=self.is_stopping
        )
        try:
            for outcome in outcomes:
                name, entry = outcome.photo.name, outcome.entry
                if entry.record is None:
                    self.failed.add(name)
                    self.done.discard(name)  # while watching: it may have been another before
                    yield PhotoFailed(entry.image, entry.error or "")
                    continue
                self.done.add(name)
                self.failed.discard(name)  # while watching: it may have been incomplete before
                self.skipped += outcome.resumed
                yield (PhotoSkipped if outcome.resumed else PhotoDone)(entry.record)
        except BaseException:
            with suppress(OSError):  # even a full disk may have room for a table
                self._write_tables(rows)
            raise
        with _naming_output(self.journal.out_dir):
            self._write_tables(rows)

    def _write_tables(self, rows: Sequence[str] | None) -> None:
        journal, out_dir = self.journal, self.journal.out_dir
        write_table(out_dir, self.table_format, journal.entries(rows), self.pictures.crops)
        write_failures(out_dir, journal.entries(rows))

    def _write_report(self, rows: Sequence[str] | None) -> Iterator[Event]:
        """Write the page if it was asked for."""
        if self.report_settings is None:
            return
        from saliency.batch.report import stream_report  # imports Jinja2, which only it needs

        with _naming_output(self.journal.out_dir):
            for done in stream_report(
                self.journal.out_dir,
                lambda: self.journal.entries(rows),
                self.report_settings,
                self.reference,
            ):
                yield ReportProgress(done, len(self.done))

    def _finish(self, total: int, passed_over: PassedOver) -> Finished:
        out_dir = self.journal.out_dir
        report = None
        if self.report_settings is not None:
            from saliency.batch.report import REPORT_NAME

            report = out_dir / REPORT_NAME
        return Finished(
            out_dir=out_dir,
            table=out_dir / name_table(self.table_format),
            report=report,
            total=total,
            done=len(self.done),
            skipped=self.skipped,
            failed=len(self.failed),
            left=total - len(self.done) - len(self.failed),
            passed_over=passed_over.describe(),
        )

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.is_stopping():
            time.sleep(0.1)
