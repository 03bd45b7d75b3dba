"""Progress of a long run: a bar on a terminal, a line from time to time in a log.

rich, which takes a while to import, is used only on terminals.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LOG_EVERY_S = 10.0

_results: TextIO | None = None
"""The stream that results are printed to; None is stdout."""


class Progress:
    """Counts finished items of a known number, and prints lines without breaking the bar."""

    def __init__(self, description: str, total: int) -> None:
        self._description = description
        self._total = total
        self._done = self._skipped = 0
        self._began = self._logged = time.monotonic()
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            from saliency.cli.console import progress_bar

            self._bar = progress_bar()
            self._task = self._bar.add_task(description, total=total)

    def advance(self, *, skipped: bool = False) -> None:
        """Count one more.

        Args:
            skipped: The item took no time and does not count for the estimate of the time left.
        """
        self._done += 1
        self._skipped += skipped
        now = time.monotonic()
        if self._bar is not None:
            self._bar.advance(self._task)
        elif now - self._logged >= LOG_EVERY_S:
            self._logged = now
            self._log(now - self._began)

    def _log(self, seconds: float) -> None:
        rate = (self._done - self._skipped) / seconds
        line = f"{self._description}: {self._done} of {self._total}, {rate:.1f} a second"
        if rate > 0:
            left = timedelta(seconds=round((self._total - self._done) / rate))
            line += f", {left} left"
        say(line)

    def print_result(self, line: str) -> None:
        """Print to stdout; on a terminal above the bar."""
        if self._bar is not None and sys.stdout.isatty():
            say(line)
        else:
            # Flushed at once: the reader of a pipe wants each line when it is ready.
            print(line, file=_results or sys.stdout, flush=True)


@contextmanager
def progress(description: str, total: int) -> Iterator[Progress]:
    """Show progress inside the context."""
    shown = Progress(description, total)
    with shown._bar or nullcontext():
        yield shown


@contextmanager
def only_results_on_stdout() -> Iterator[None]:
    """Send everything but results to stderr inside the context, also what other code prints."""
    global _results
    _results = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results = None


def say_notes(photo: object, notes: Iterable[str]) -> None:
    """Print to stderr the faults of a photo's file that was read in spite of them."""
    for note in notes:
        say(f"note: {photo}: {note}", style="yellow")


def say_passed_over(described: str) -> None:
    """Print to stderr the files and folders that a search for photos ignored, if any."""
    if described:
        say(f"ignored: {described}")


def say(line: str, style: str | None = None) -> None:
    """Print one line to stderr without markup or wrapping."""
    if not sys.stderr.isatty():
        print(line, file=sys.stderr)
        return
    from saliency.cli.console import stderr

    stderr.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
