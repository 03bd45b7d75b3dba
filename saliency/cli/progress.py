"""How far a long run is: a bar on a terminal, a line now and then in a log.

rich is for terminals and takes a while to import; a log gets plain lines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LOG_EVERY_S = 10.0

_results: TextIO | None = None
"""Where results go; None is stdout."""


class Progress:
    """Counts what is done of a known number, and prints beside the bar without breaking it."""

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
            skipped: It took no time, so it says nothing about the rest.
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
            # At once: whoever reads a pipe wants it before the end of a folder or of a watch.
            print(line, file=_results or sys.stdout, flush=True)


@contextmanager
def progress(description: str, total: int) -> Iterator[Progress]:
    """Show progress while inside."""
    shown = Progress(description, total)
    with shown._bar or nullcontext():
        yield shown


def print_results_to(stream: TextIO) -> None:
    """Print results to `stream`, whatever becomes of stdout."""
    global _results
    _results = stream


def say(line: str, style: str | None = None) -> None:
    """Print one line to stderr as it is."""
    if not sys.stderr.isatty():
        print(line, file=sys.stderr)
        return
    from saliency.cli.console import stderr

    stderr.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
