"""Whether memory stays flat: thousands of mixed requests, good and bad, large and small.

    python -m service.bench.soak [--requests 5000] [--clients 8]

Prints the server's resident memory after each tenth of the requests.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from service.bench.client import drive, running, to_request
from service.bench.photos import read_photos, to_jpeg

PARTS = 10


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    requests = mixed_requests()
    statuses: Counter[int] = Counter()
    with running("service", "--port", "0") as (url, pid):
        print(f"ready: {resident_mib(pid):.0f} MiB", flush=True)
        for _ in track(range(PARTS), "soaking", console=Console(stderr=True)):
            still = countdown(options.requests // PARTS)
            statuses.update(asyncio.run(drive(url, requests, options.clients, still)))
            print(f"{statuses.total()} requests: {resident_mib(pid):.0f} MiB", flush=True)
    print("statuses: " + ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())))


def countdown(count: int) -> Callable[[], bool]:
    """Return a function that says True `count` times."""
    left = iter(range(count))
    return lambda: next(left, None) is not None


def mixed_requests() -> list[bytes]:
    """Return requests of every kind, among them broken and refused ones."""
    cat, coffee, rocket, _ = read_photos()
    small = to_jpeg(cat)
    portrait = to_jpeg(np.ascontiguousarray(rocket.transpose(1, 0, 2)))
    large = to_jpeg(np.tile(coffee, (5, 5, 1)))  # 2000 x 3000
    jpeg, png, npy = "image/jpeg", "image/png", "application/x-npy"
    return [
        to_request("/v1/predict", small, jpeg),
        to_request("/v1/predict", portrait, jpeg, png),
        to_request("/v1/predict", small[: len(small) // 2], jpeg),
        to_request("/v1/predict?map=16", portrait, jpeg),
        to_request("/v1/regions?box=10,10,100,100", small, jpeg),
        to_request("/v1/predict", large, jpeg),
        to_request("/v1/predict?render=heatmap", large, jpeg, png),
        to_request("/v1/crops?aspect=1:1&count=1", small, jpeg),
        to_request("/v1/predict", small, jpeg, npy),
        to_request("/v1/predict", b"no image", jpeg),
        to_request("/v1/predict", small, "text/plain"),
        to_request("/v1/regions?box=1,1,nan,1", small, jpeg),
        to_request("/v1/nowhere", b"", jpeg),
    ]


def resident_mib(pid: int) -> float:
    """Return a process's resident memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    main()
