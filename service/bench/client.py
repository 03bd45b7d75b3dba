"""A load generator that costs little: many keep-alive connections, each a bare asyncio protocol.

It shares the machine with the service it measures, so a comfortable client would count twice.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from tempfile import TemporaryFile
from typing import cast
from urllib.parse import urlsplit

START_S = 120
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


async def drive(
    url: str, requests: Sequence[bytes], clients: int, keep_going: Callable[[], bool]
) -> list[int]:
    """Send `requests` round and round over `clients` connections; return the statuses.

    Raises:
        ConnectionError: A connection ended before its answer.
    """
    host, _, port = urlsplit(url).netloc.partition(":")
    statuses: list[int] = []

    async def one(first: int) -> None:
        numbers = count(first, clients)

        def next_request() -> bytes | None:
            return requests[next(numbers) % len(requests)] if keep_going() else None

        finished = False
        while not finished:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(next_request, statuses), host, int(port)
            )
            finished = await connection.over

    await asyncio.gather(*map(one, range(clients)))
    return statuses


class _Connection(asyncio.Protocol):
    """Sends a request, reads its whole answer, sends the next.

    Attributes:
        over: Once it is closed: whether there were no more requests; if not, the server closed it.
    """

    def __init__(self, next_request: Callable[[], bytes | None], statuses: list[int]) -> None:
        self.over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._next_request = next_request
        self._statuses = statuses
        self._received = bytearray()
        self._body_from = 0
        self._ends_at = 0
        self._finished: bool | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._ends_at:
            self._body_from = self._received.find(END_OF_HEAD) + len(END_OF_HEAD)
            if self._body_from < len(END_OF_HEAD):
                return
            found = CONTENT_LENGTH.search(self._received, 0, self._body_from)
            self._ends_at = self._body_from + (int(found[1]) if found else 0)
        if len(self._received) < self._ends_at:
            return
        self._statuses.append(int(self._received[9:12]))
        if b"connection: close" in self._received[: self._body_from].lower():
            self._end(finished=False)
        else:
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if self._finished is None:
            self.over.set_exception(error or ConnectionError("the server closed the connection"))
        else:
            self.over.set_result(self._finished)

    def _ask(self) -> None:
        self._received.clear()
        self._ends_at = 0
        request = self._next_request()
        if request is None:
            self._end(finished=True)
        else:
            self._transport.write(request)

    def _end(self, *, finished: bool) -> None:
        self._finished = finished
        self._transport.close()


def to_request(
    path: str, body: bytes, content_type: str, accept: str = "application/json"
) -> bytes:
    """Return the bytes of a POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def running(*arguments: str) -> Iterator[tuple[str, int]]:
    """Run a Python module that starts uvicorn; yield its address and process id once it answers."""
    with TemporaryFile("w+b") as log:
        environment = os.environ | {"SALIENCY_LOG_FORMAT": "text"}
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *arguments], env=environment, stdout=log, stderr=log
        )
        try:
            until = time.monotonic() + START_S
            while True:
                log.seek(0)
                text = log.read().decode()
                found = re.search(r"running on (http://[\d.:]+)", text)
                if found and _is_ready(found[1]):
                    break
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{arguments} did not start:\n{text}")
                time.sleep(0.1)
            yield found[1], process.pid
        finally:
            process.terminate()
            process.wait()


def _is_ready(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=10)  # noqa: S310
    except urllib.error.URLError:
        return False
    return True
