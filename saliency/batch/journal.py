"""What became of each photo: lines appended as it happens, from which all else is made.

A run that is killed loses at most the line it was writing, and goes on behind the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from saliency.errors import SaliencyError
from saliency.locks import hold_folder

JOURNAL_NAME = ".saliency-journal.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one photo: a record, or the reason why there is none.

    Attributes:
        name: Of its results, relative to the output folder, without suffix.
        image: The photo, as it was named.
        real_path: The photo, absolute, behind links.
        sha256: Of its bytes; None where they could not be read.
        made_by: Fingerprint of weights and options, see `to_fingerprint`.
        record: The line of `predictions.jsonl`.
        error: The reason, one sentence.
    """

    name: str
    image: str
    real_path: str
    sha256: str | None
    made_by: str
    record: dict[str, object] | None = None
    error: str | None = None


def to_fingerprint(**made_with: object) -> str:
    """Return a short name of everything that decides a result but for the photo."""
    text = json.dumps(made_with, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Journal:
    """The last word on each photo of an output folder, which is this run's until it is closed.

    In memory is only where each entry begins: some hundred bytes a photo. Reading is safe in
    several threads; only one appends.

    Args:
        out_dir: The output folder; it is made if it is missing.
        made_by: Fingerprint of this run, which its entries bear.
        resume: Go on behind what is there; False starts an empty journal.

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
        """Write what became of a photo; from now on this is the last word on its name.

        What the last word says already is not repeated.

        Raises:
            OSError: The disk is full; the journal is as it was before.
        """
        if entry == self.find(entry.name):
            return
        line = json.dumps(asdict(entry)).encode() + b"\n"
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
        """Return the last word on the photo whose results have `name`."""
        with self._lock:
            place = self._places.get(name)
            return None if place is None else _read_entry(self._reader, place)

    def find_done(self, name: str, sha256: str | None) -> Entry | None:
        """Return the entry of a photo of this content if all that this run would make is there."""
        entry = self.find(name)
        if entry is None or entry.record is None or entry.sha256 != sha256:
            return None
        there = all((self.out_dir / file).is_file() for file in list_files(entry.record))
        return entry if entry.made_by == self.made_by and there else None

    def entries(self, names: Iterable[str] | None = None) -> Iterator[Entry]:
        """Yield this run's and equal runs' last words: same weights, same options.

        Args:
            names: Whose, in this order; None: of every photo, in the order of their first entries.
        """
        for name in list(self._places) if names is None else names:
            entry = self.find(name)
            if entry is not None and entry.made_by == self.made_by:
                yield entry

    def owners(self) -> dict[str, str]:
        """Return name -> real path of the photo that has it."""
        entries = map(self.find, list(self._places))
        return {entry.name: entry.real_path for entry in entries if entry is not None}


def read_entries(out_dir: Path) -> Iterator[Entry]:
    """Yield the last word on every photo of an output folder, for reports.

    Works while a run is going on. Of several runs with other weights or options into one folder
    each photo has its latest entry; `made_by` tells them apart.

    Example:
        >>> for entry in read_entries(Path("results")):  # doctest: +SKIP
        ...     print(entry.image, entry.record["score"] if entry.record else entry.error)

    Raises:
        SaliencyError: The folder holds no journal, or a damaged one.
    """
    path = out_dir / JOURNAL_NAME
    if not path.is_file():
        raise SaliencyError(
            f"{out_dir} should be the output of `saliency predict`. Found no {path}."
        )
    with path.open("rb") as file:
        places, _ = _index(file)
        for place in places.values():
            yield _read_entry(file, place)


def list_files(record: dict[str, object]) -> list[str]:
    """Return the pictures that a record names, relative to the output folder."""
    crops = record.get("crops")
    named = [record.get("overlay"), record.get("map")]
    if isinstance(crops, list):
        named += [crop["file"] for crop in crops]
    return [file for file in named if isinstance(file, str)]


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
    return Entry(**json.loads(file.readline()))
