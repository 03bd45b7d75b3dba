"""Ctrl-C as a request to stop, for work that ends in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a request; the second acts at once.

    Outside of the main thread, which alone may handle signals, nothing is turned.

    Yields:
        A function that says whether a stop was asked for.
    """
    requested = False
    previous: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal requested
        requested = True
        signal.signal(number, previous[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, ask)
    try:
        yield lambda: requested
    finally:
        for asked, handler in previous.items():
            signal.signal(asked, handler)
