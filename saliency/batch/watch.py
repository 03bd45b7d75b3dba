"""A watched folder: files that have arrived, once they are complete."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from saliency.batch.find import Found, check_sources, find_files
from saliency.batch.passed_over import PassedOver

SETTLE_S = 2.0
"""A file counts as complete once its size and time of change were the same for so many seconds."""


class _State(NamedTuple):
    size: int
    mtime_ns: int


class Watcher:
    """Finds files that have arrived or changed, by searching again and again.

    Notifications of the operating system are not used: network drives do not send them, and they
    do not say when a file is complete. A file that was taken too early, because its writer paused,
    is taken again when it has changed.

    Attributes:
        passed_over: Files and folders that the last search ignored.

    Args:
        sources: Folders, globs or files, as for `find_files`.
        settle_s: Seconds without a change after which a file counts as complete.

    Raises:
        SaliencyError: A source can never name a photo.
    """

    def __init__(self, sources: Sequence[str], settle_s: float = SETTLE_S) -> None:
        check_sources(sources)
        self._sources = sources
        self._settle_s = settle_s
        self._unsettled: dict[str, tuple[_State, float]] = {}  # and since when it has that state
        self._taken: dict[str, _State] = {}
        self.passed_over = PassedOver()

    def poll(self) -> list[Found]:
        """Return the complete files that have arrived or changed since the last call."""
        now = time.monotonic()
        arrived: list[Found] = []
        unsettled: dict[str, tuple[_State, float]] = {}
        taken: dict[str, _State] = {}
        self.passed_over = PassedOver()
        for found in find_files(self._sources, required=False, passed_over=self.passed_over):
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
        self._unsettled, self._taken = unsettled, taken  # deleted files are forgotten
        return arrived


def _read_state(path: str) -> _State | None:
    try:
        status = Path(path).stat()
    except OSError:  # deleted again
        return None
    return _State(status.st_size, status.st_mtime_ns)
