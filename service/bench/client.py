"""A load generator that costs little: many keep-alive connections on bare asyncio streams.

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
from tempfile import TemporaryFile
from urllib.parse import urlsplit

START_S = 120


async def drive(
    url: str, requests: Sequence[bytes], clients: int, keep_going: Callable[[], bool]
) -> list[int]:
    """Send `requests` round and round over `clients` connections; return the statuses."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    statuses: list[int] = []

    async def one(first: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        number = first
        while keep_going():
            writer.write(requests[number % len(requests)])
            number += clients
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(found[1]) if found else 0)
            statuses.append(int(head[9:12]))
            if b"connection: close" in head.lower():
                writer.close()
                reader, writer = await asyncio.open_connection(host, port)
        writer.close()

    await asyncio.gather(*map(one, range(clients)))
    return statuses


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
