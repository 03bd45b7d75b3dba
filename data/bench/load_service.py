"""Measure the service under load, and whether its memory stays constant.

    python data/bench/load_service.py load [--clients 32] [--seconds 20] [--rounds 3]
    python data/bench/load_service.py soak [--requests 5000]

`load` prints the answers per second as a fraction of a ceiling: the number of cores divided by the
core-seconds of one image (decode, preprocess, forward and render, each alone on one thread right
before and after). The ceiling counts neither HTTP nor the load generator, which shares the cores;
the time of both is printed. The service and a handler that calls `Predictor.predict` for one
request at a time take turns, so that a change of the machine's speed affects both. `soak` prints
the resident memory after each tenth of thousands of mixed requests, good and bad, large and small.
It runs only on Linux.
"""

import argparse
import asyncio
import logging
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np
from PIL import Image

from saliency.allocator import keep_freed_memory
from saliency.images import read_image
from saliency.predictor import Predictor, PreparedImage, to_prediction
from saliency.records import to_record

START_S, WARM_UP_S = 120, 3.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CONTENT_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


async def drive(
    url: str, requests: Sequence[bytes], clients: int, keep_going: Callable[[], bool]
) -> list[int]:
    """Send `requests` round and round over `clients` connections; return the statuses.

    Raises:
        asyncio.IncompleteReadError: A connection ended before its answer.
    """
    host, _, port = urlsplit(url).netloc.partition(":")
    statuses: list[int] = []

    async def ask(first: int) -> None:
        numbers = count(first, clients)
        closed = True
        while closed:  # otherwise there are no more requests
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                closed = False
                while not closed and keep_going():
                    writer.write(requests[next(numbers) % len(requests)])
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = CONTENT_LENGTH.search(head)
                    await reader.readexactly(int(length[1]) if length else 0)
                    statuses.append(int(head[9:12]))
                    closed = b"connection: close" in head.lower()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    await asyncio.gather(*map(ask, range(clients)))
    return statuses


def to_request(path: str, body: bytes, kind: str, accept: str = "application/json") -> bytes:
    """Return the bytes of a POST."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


@contextmanager
def running(*words: str) -> Iterator[tuple[str, int]]:
    """Run Python with `words` that start a server; yield its address and process id when ready."""
    with TemporaryFile("w+b") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *words],
            env=os.environ | {"SALIENCY_LOG_FORMAT": "text"},
            stdout=log,
            stderr=log,
        )
        try:
            until = time.monotonic() + START_S
            while True:
                log.seek(0)
                text = log.read().decode()
                found = re.search(r"running on (http://[\d.:]+)", text)
                if found and is_ready(found[1]):
                    break
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{words} did not start:\n{text}")
                time.sleep(0.1)
            yield found[1], process.pid
        finally:
            process.terminate()
            process.wait()


def is_ready(url: str) -> bool:
    """Return whether a server answers."""
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=10)  # noqa: S310
    except urllib.error.URLError:
        return False
    return True


class CoreSeconds(NamedTuple):
    """Seconds of processor time, summed over the cores; `total` is cores x seconds."""

    service: float
    client: float
    idle: float
    total: float

    @classmethod
    def read(cls, pid: int) -> "CoreSeconds":
        """Return the seconds so far; `pid` is the process of the service."""
        of_process = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        service = (int(of_process[11]) + int(of_process[12])) * TICK_S  # proc(5): utime, stime
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        idle, total = (ticks[3] + ticks[4]) * TICK_S, sum(ticks) * TICK_S
        return cls(service, time.process_time(), idle, total)

    def since(self, earlier: "CoreSeconds") -> "CoreSeconds":
        """Return the seconds since `earlier`."""
        return CoreSeconds(*(now - then for now, then in zip(self, earlier, strict=True)))

    def describe(self, answers: int) -> str:
        """Return the cost of each of `answers`, and the share of the cores that others used."""
        others = max(0.0, self.total - self.idle - self.service - self.client)
        return (
            f"core-ms per answer: service {self.service / answers * 1e3:.1f}, load generator "
            f"{self.client / answers * 1e3:.2f}; other programs used "
            f"{others / self.total:.1%} of the cores and {self.idle / self.total:.1%} were idle"
        )


def read_photos() -> list[np.ndarray]:
    """Return photos that ship inside scikit-image: cat, coffee, rocket, astronaut."""
    from skimage import data

    return [getattr(data, name)() for name in ("chelsea", "coffee", "rocket", "astronaut")]


def to_jpeg(photo: np.ndarray) -> bytes:
    """Return a photo as a camera would write it."""
    file = BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=90)
    return file.getvalue()


def serve_one_at_a_time() -> None:
    """Serve with the simplest handler, which calls `Predictor.predict` for each request."""
    import uvicorn
    from fastapi import FastAPI, Request

    logging.basicConfig(level=logging.INFO)
    keep_freed_memory()
    predictor = Predictor.load()
    app = FastAPI()

    @app.get("/readyz")
    def readyz() -> str:
        return "ready"

    @app.post("/v1/predict")
    async def predict(request: Request) -> dict[str, object]:
        return predictor.record(await request.body()).to_json()

    uvicorn.run(app, port=0, log_config=None, access_log=False)


def stage_costs(images: list[bytes], repeats: int = 20) -> dict[str, float]:
    """Return the core-seconds per image of each stage, alone on one thread."""
    predictor = Predictor.load(device="cpu", threads=1)
    decoded = [read_image(image) for image in images]
    inputs = [predictor.preprocessing.to_input(image) for image in decoded]
    prepared = [PreparedImage(i, i.shape[:2], x, i) for i, x in zip(decoded, inputs, strict=True)]
    outputs = [predictor.infer([one]) for one in prepared]

    def render(n: int) -> object:
        prediction = to_prediction(outputs[n], 0, prepared[n].size)
        return to_record("", prediction, prepared[n].measured).to_json()

    def cost(stage: Callable[[int], object]) -> float:
        seconds = []
        for _ in range(repeats):
            began = time.process_time()
            for number in range(len(images)):
                stage(number)
            seconds.append((time.process_time() - began) / len(images))
        return statistics.median(seconds)

    return {
        "decode": cost(lambda n: read_image(images[n])),
        "preprocess": cost(lambda n: predictor.preprocessing.to_input(decoded[n])),
        "forward": cost(lambda n: predictor.infer([prepared[n]])),
        "render": cost(render),
    }


def answers_per_second(
    url: str, pid: int, requests: list[bytes], clients: int, seconds: float
) -> tuple[float, str]:
    """Return the answers per second after a warm-up, and their cost in words.

    Raises:
        RuntimeError: An answer was an error.
    """

    def during(limit_s: float) -> tuple[float, str]:
        before, began = CoreSeconds.read(pid), time.perf_counter()
        statuses = asyncio.run(
            drive(url, requests, clients, lambda: time.perf_counter() - began < limit_s)
        )
        took_s = time.perf_counter() - began
        used = CoreSeconds.read(pid).since(before)
        if set(statuses) != {200}:
            raise RuntimeError(f"Every answer should be 200. Found {sorted(set(statuses))}.")
        return len(statuses) / took_s, used.describe(len(statuses))

    during(WARM_UP_S)
    return during(seconds)


def load(options: argparse.Namespace) -> None:
    """Measure in turns and print."""
    images = [to_jpeg(photo) for photo in read_photos()]
    keep_freed_memory()
    cv2.setNumThreads(1)  # the stages are measured on one thread
    requests = [to_request("/v1/predict", image, "image/jpeg") for image in images]
    cores = len(os.sched_getaffinity(0))
    fractions, gains = [], []
    with (
        running("-m", "service", "--port", "0") as ours,
        running(__file__, "one-at-a-time") as theirs,
    ):
        for number in range(options.rounds):
            before = stage_costs(images)
            served, used = answers_per_second(*ours, requests, options.clients, options.seconds)
            after = stage_costs(images)
            naive, _ = answers_per_second(*theirs, requests, options.clients, options.seconds)
            costs = {stage: (before[stage] + after[stage]) / 2 for stage in before}
            ceiling = cores / sum(costs.values())
            fractions.append(served / ceiling)
            gains.append(served / naive)
            ms = ", ".join(f"{stage} {cost * 1e3:.1f}" for stage, cost in costs.items())
            print(
                f"round {number + 1}: core-ms per image: {ms}\n  ceiling {ceiling:.1f}/s, service "
                f"{served:.1f}/s = {fractions[-1]:.3f} of it, one at a time {naive:.1f}/s, service "
                f"/ one at a time {gains[-1]:.2f}\n  {used}",
                flush=True,
            )
    print(
        f"{cores} cores, {options.clients} clients, median of {options.rounds} rounds: "
        f"{statistics.median(fractions):.3f} of the ceiling, "
        f"{statistics.median(gains):.2f} times one request at a time"
    )


def soak(options: argparse.Namespace) -> None:
    """Send requests of every kind, among them broken and refused ones, and print the memory."""
    cat, coffee, rocket, _ = read_photos()
    small, large = to_jpeg(cat), to_jpeg(np.tile(coffee, (5, 5, 1)))  # 2000 x 3000
    portrait = to_jpeg(np.ascontiguousarray(rocket.transpose(1, 0, 2)))
    jpeg, png = "image/jpeg", "image/png"
    requests = [
        to_request("/v1/predict", small, jpeg),
        to_request("/v1/predict", portrait, jpeg, png),
        to_request("/v1/predict", small[: len(small) // 2], jpeg),
        to_request("/v1/predict?map=16", portrait, jpeg),
        to_request("/v1/regions?box=10,10,100,100", small, jpeg),
        to_request("/v1/predict", large, jpeg),
        to_request("/v1/predict?render=heatmap", large, jpeg, png),
        to_request("/v1/crops?aspect=1:1&count=1", small, jpeg),
        to_request("/v1/predict", small, jpeg, "application/x-npy"),
        to_request("/v1/predict", b"no image", jpeg),
        to_request("/v1/predict", small, "text/plain"),
        to_request("/v1/regions?box=1,1,nan,1", small, jpeg),
        to_request("/v1/nowhere", b"", jpeg),
    ]
    statuses: Counter[int] = Counter()
    with running("-m", "service", "--port", "0") as (url, pid):
        print(f"ready: {resident_mib(pid):.0f} MiB", flush=True)
        for _ in range(10):
            keep_going = countdown(options.requests // 10)
            statuses.update(asyncio.run(drive(url, requests, options.clients, keep_going)))
            print(f"{statuses.total()} requests: {resident_mib(pid):.0f} MiB", flush=True)
    print("statuses: " + ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())))


def countdown(times: int) -> Callable[[], bool]:
    """Return a function that returns True `times` times."""
    left = iter(range(times))
    return lambda: next(left, None) is not None


def resident_mib(pid: int) -> float:
    """Return a process's resident memory, in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def main() -> None:
    """Run the measurement that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("load", "soak", "one-at-a-time"))
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=5000)
    options = parser.parse_args()
    if options.what == "one-at-a-time":
        serve_one_at_a_time()
    else:
        {"load": load, "soak": soak}[options.what](options)


if __name__ == "__main__":
    main()
