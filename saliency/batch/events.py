"""The events that `predict_folder` yields while it works, in the order in which they happen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from saliency.records import Record


@dataclass(frozen=True, slots=True)
class Started:
    """The network is loaded.

    Attributes:
        computing: Device and backend as text for people.
    """

    computing: str


@dataclass(frozen=True, slots=True)
class PhotosFound:
    """There are photos to predict; while watching, this comes again when photos have arrived.

    Attributes:
        total: Number of photos, including those that were done before.
    """

    total: int


@dataclass(frozen=True, slots=True)
class PhotoDone:
    """A photo is predicted: its pictures are in place and its record is kept.

    Attributes:
        record: Its record.
    """

    record: Record


@dataclass(frozen=True, slots=True)
class PhotoSkipped:
    """A photo was predicted before with the same content, weights and options.

    Attributes:
        record: Its record.
    """

    record: Record


@dataclass(frozen=True, slots=True)
class PhotoFailed:
    """A photo has no result; the run continues with the others.

    Attributes:
        image: The photo, as it was named.
        error: The reason, in one sentence.
    """

    image: str
    error: str


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """The report is being written.

    Attributes:
        done: Photos that are in it already.
        total: Photos that it will hold.
    """

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Finished:
    """All photos are done, or a stop was asked for.

    Attributes:
        out_dir: Folder of the results.
        table: Path of the table of records.
        report: Path of the HTML report; None if none was asked for.
        total: Photos that were found.
        done: Photos that have a result, including those that were done before.
        skipped: Photos that were done before.
        failed: Photos without a result.
        left: Photos that were not begun before the stop.
        passed_over: Files and folders that the search ignored, as text for people; "" if none.
    """

    out_dir: Path
    table: Path
    report: Path | None
    total: int
    done: int
    skipped: int
    failed: int
    left: int
    passed_over: str


Event: TypeAlias = (
    Started | PhotosFound | PhotoDone | PhotoSkipped | PhotoFailed | ReportProgress | Finished
)
