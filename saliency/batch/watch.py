"""A hot folder: what has arrived, once it is whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from saliency.batch.find import Found, check_sources, find_files

SETTLE_S = 2.0
"""A file counts as whole once its size and time of change have stayed the same for so long."""


class _State(NamedTuple):
    size: int
    mtime_ns: int


class Watcher:
    """Files that have arrived or changed, looked for again and again.

    Looking, not notifications of the system: those do not come from network drives, nor tell when
    a file is whole. A file that was taken too early, because its writer paused, fails or not, and
    is taken again when it has changed.

    Args:
        sources: Folders, globs or files, as for `find_files`.
        settle_s: See `SETTLE_S`.

    Raises:
        SaliencyError: A source can never name a photo.
    """

    def __init__(self, sources: Sequence[str], settle_s: float = SETTLE_S) -> None:
        check_sources(sources)
        self._sources = sources
        self._settle_s = settle_s
        self._unsettled: dict[str, tuple[_State, float]] = {}  # since when it has that state
        self._taken: dict[str, _State] = {}

    def poll(self) -> list[Found]:
        """Return what has arrived or changed since the last call and is whole."""
        now = time.monotonic()
        arrived: list[Found] = []
        unsettled: dict[str, tuple[_State, float]] = {}
        taken: dict[str, _State] = {}
        for found in find_files(self._sources, required=False):
            state = _read_state(found.path)
            if state is None:
                continue
            if self._taken.get(found.path) == state:
                taken[found.path] = state
                continue
            before, since = self._unsettled.get(found.path, (None, now))
            if before != state:
                since = now
            if now - since >= self._settle_s:
                taken[found.path] = state
                arrived.append(found)
            else:
                unsettled[found.path] = state, since
        self._unsettled, self._taken = unsettled, taken  # what has gone is forgotten
        return arrived


def _read_state(path: str) -> _State | None:
    try:
        status = Path(path).stat()
    except OSError:  # it has gone again
        return None
    return _State(status.st_size, status.st_mtime_ns)
