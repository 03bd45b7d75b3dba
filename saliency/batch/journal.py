"""The journal of an output folder: a line for each outcome, from which all tables are made.

A run that is killed loses at most the line it was writing; the next run continues after the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from saliency.errors import RecordError, SaliencyError
from saliency.locks import hold_folder
from saliency.records import Record

JOURNAL_NAME = ".saliency-journal.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """The outcome of one photo: a record, or the reason why there is none.

    Attributes:
        name: Name of its results, relative to the output folder, without suffix.
        image: The photo, as it was named.
        real_path: Absolute path of the photo, with links resolved.
        sha256: SHA-256 of its bytes; None where they could not be read.
        made_by: Fingerprint of weights and options, see `to_fingerprint`.
        record: Its record: the line of `predictions.jsonl`.
        error: The reason, in one sentence.
    """

    name: str
    image: str
    real_path: str
    sha256: str | None
    made_by: str
    record: Record | None = None
    error: str | None = None

    def to_line(self) -> str:
        """Return the entry as a line of the journal, without the newline."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["record"] = None if self.record is None else self.record.to_json()
        return json.dumps(plain)

    @classmethod
    def from_line(cls, line: str | bytes) -> Entry:
        """Read a line of a journal; a record of another version becomes an error that says so."""
        plain = json.loads(line)
        if plain["record"] is not None:
            try:
                plain["record"] = Record.from_json(plain["record"])
            except RecordError:
                plain["record"] = None
                plain["error"] = (
                    f"{plain['image']} was predicted by another version of aesthetic-saliency; "
                    "`saliency predict` makes it anew."
                )
        return cls(**plain)


def to_fingerprint(**made_with: object) -> str:
    """Return a short hash of everything besides the photo that decides a result."""
    text = json.dumps(made_with, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Journal:
    """The latest entry of each photo of an output folder; it locks the folder until it is closed.

    Only the position of each entry is kept in memory: a few hundred bytes per photo. Several
    threads may read at a time; only one may append.

    Args:
        out_dir: The output folder; it is made if it is missing.
        made_by: Fingerprint of this run, for its entries.
        resume: Whether to keep the entries that exist; False starts an empty journal.

    Raises:
        BusyError: Another run writes into the folder.
        OSError: The folder cannot be written to.
        SaliencyError: The journal is damaged.
    """

    def __init__(self, out_dir: Path, made_by: str, *, resume: bool = True) -> None:
        self.out_dir = out_dir
        self.made_by = made_by
        self._lock = threading.Lock()
        path = out_dir / JOURNAL_NAME
        with ExitStack() as opened:
            opened.enter_context(hold_folder(out_dir))
            with path.open("a+b" if resume else "w+b") as lines:
                lines.seek(0)
                self._places, end = _index(lines)
                lines.truncate(end)  # a line that was being written when the run was killed
            # Unbuffered: what was appended survives this process, and an error shows at once.
            self._file = opened.enter_context(path.open("ab", buffering=0))
            self._reader = opened.enter_context(path.open("rb"))
            self._opened = opened.pop_all()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.close()

    def append(self, entry: Entry) -> None:
        """Write the outcome of a photo; it replaces earlier entries of the same name.

        An entry that equals the latest one is not written again.

        Raises:
            OSError: The disk is full; the journal is unchanged.
        """
        if entry == self.find(entry.name):
            return
        line = entry.to_line().encode() + b"\n"
        with self._lock:
            start = self._file.seek(0, os.SEEK_END)
            written = 0
            try:
                while written < len(line):
                    written += self._file.write(line[written:]) or 0
            except OSError:
                self._file.truncate(start)
                raise
            self._places[entry.name] = start

    def find(self, name: str) -> Entry | None:
        """Return the latest entry of the photo whose results have `name`."""
        with self._lock:
            place = self._places.get(name)
            return None if place is None else _read_entry(self._reader, place)

    def find_done(self, name: str, sha256: str | None) -> Entry | None:
        """Return the entry of a photo of this content if all results that this run wants exist."""
        entry = self.find(name)
        if entry is None or entry.record is None or entry.sha256 != sha256:
            return None
        there = all((self.out_dir / file).is_file() for file in entry.record.files)
        return entry if entry.made_by == self.made_by and there else None

    def entries(self, names: Iterable[str] | None = None) -> Iterator[Entry]:
        """Yield the latest entries of runs with this run's weights and options.

        Args:
            names: Names of the photos, in this order; None: all, in the order of first entries.
        """
        for name in list(self._places) if names is None else names:
            entry = self.find(name)
            if entry is not None and entry.made_by == self.made_by:
                yield entry

    def owners(self) -> dict[str, str]:
        """Return a map from names of results to the real paths of their photos."""
        entries = map(self.find, list(self._places))
        return {entry.name: entry.real_path for entry in entries if entry is not None}


def read_entries(out_dir: str | os.PathLike[str]) -> Iterator[Entry]:
    """Yield the latest entry of every photo of an output folder, for reports.

    Works while a run is going on. If several runs with other weights or options wrote into the
    folder, each photo has its latest entry; `made_by` tells the runs apart.

    Example:
        >>> for entry in read_entries("results"):  # doctest: +SKIP
        ...     print(entry.image, entry.record.score if entry.record else entry.error)

    Raises:
        SaliencyError: The folder holds no journal, or a damaged one.
    """
    return map(Entry.from_line, _read_lines(Path(out_dir)))


def list_pictures(out_dir: Path) -> Iterator[str]:
    """Yield the overlays, maps and crops that a journal of any version names.

    Raises:
        SaliencyError: The folder holds no journal, or a damaged one.
    """
    for line in _read_lines(out_dir):
        record = json.loads(line)["record"] or {}
        crops = record.get("crops") or ()
        named = [record.get("overlay"), record.get("map"), *(crop["file"] for crop in crops)]
        yield from (file for file in named if file is not None)


def _read_lines(out_dir: Path) -> Iterator[bytes]:
    """Yield the last line of every photo."""
    path = out_dir / JOURNAL_NAME
    if not path.is_file():
        raise SaliencyError(
            f"{out_dir} should be the output of `saliency predict`. Found no {path}."
        )
    with path.open("rb") as file:
        places, _ = _index(file)
        for place in places.values():
            file.seek(place)
            yield file.readline()


def _index(lines: BinaryIO) -> tuple[dict[str, int], int]:
    """Return where the last entry of each name begins, and where the last whole line ends."""
    places: dict[str, int] = {}
    at = 0
    for line in lines:
        if not line.endswith(b"\n"):
            break
        try:
            places[json.loads(line)["name"]] = at
        except (ValueError, KeyError, TypeError) as error:
            raise SaliencyError(
                f"{lines.name} should have an entry on every line. Found none at byte {at}; "
                "--no-resume starts a new one."
            ) from error
        at += len(line)
    return places, at


def _read_entry(file: BinaryIO, place: int) -> Entry:
    file.seek(place)
    return Entry.from_line(file.readline())
