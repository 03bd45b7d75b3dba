"""Throughput under load, as a share of what the machine's cores could do at best.

    python -m service.bench.load [--clients 32] [--seconds 20] [--rounds 3]

The ceiling is cores / (core-seconds of one image), the sum of decode, preprocess, forward and
render, each measured alone on one thread right before and right after the service. It counts
neither HTTP nor the load generator, which shares the cores; what those took is printed. The service
and a handler that calls `Predictor.predict` one request at a time take turns, so that a machine
that speeds up or slows down does so for both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from saliency.allocator import keep_freed_memory
from saliency.images import read_image
from saliency.predictor import Predictor, PreparedImage, to_prediction
from service.api import describe_prediction
from service.bench.client import drive, running, to_request
from service.bench.cores import CoreSeconds, read_core_seconds
from service.bench.photos import read_photos, to_jpeg

WARM_UP_S = 3.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images = [to_jpeg(photo) for photo in read_photos()]
    keep_freed_memory()
    cv2.setNumThreads(1)  # the stages are measured on one thread
    requests = [to_request("/v1/predict", image, "image/jpeg") for image in images]
    cores = len(os.sched_getaffinity(0))

    ceilings, served, naive = [], [], []
    with (
        running("service", "--port", "0") as (our_url, our_pid),
        running("service.bench.one_at_a_time") as (their_url, their_pid),
    ):
        for number in range(options.rounds):
            before = stage_costs(images)
            ours = load(our_url, our_pid, requests, options.clients, options.seconds)
            after = stage_costs(images)
            theirs = load(their_url, their_pid, requests, options.clients, options.seconds)
            costs = {stage: (before[stage] + after[stage]) / 2 for stage in before}
            ceilings.append(cores / sum(costs.values()))
            served.append(ours.per_second)
            naive.append(theirs.per_second)
            ms = ", ".join(f"{stage} {cost * 1e3:.1f}" for stage, cost in costs.items())
            print(f"round {number + 1}: core-ms an image: {ms}")
            print(
                f"  ceiling {ceilings[-1]:.1f}/s, service {served[-1]:.1f}/s = "
                f"{served[-1] / ceilings[-1]:.3f} of it, one at a time {naive[-1]:.1f}/s, "
                f"service / one at a time {served[-1] / naive[-1]:.2f}"
            )
            print(f"  {ours.used.describe(ours.answers)}", flush=True)
    of_ceiling = [s / c for s, c in zip(served, ceilings, strict=True)]
    gain = [s / n for s, n in zip(served, naive, strict=True)]
    print(
        f"{cores} cores, {options.clients} clients, median of {options.rounds} rounds: "
        f"{statistics.median(of_ceiling):.3f} of the ceiling, "
        f"{statistics.median(gain):.2f} times one request at a time"
    )


@dataclass(frozen=True)
class Load:
    """What a server did under load.

    Attributes:
        answers: All of status 200.
        seconds: By the clock.
        used: Processor time.
    """

    answers: int
    seconds: float
    used: CoreSeconds

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def stage_costs(images: list[bytes], repeats: int = 20) -> dict[str, float]:
    """Return core-seconds an image of each stage, alone on one thread."""
    predictor = Predictor.load(device="cpu", threads=1)
    decoded = [read_image(image) for image in images]
    prepared = [
        PreparedImage(i, (i.shape[0], i.shape[1]), predictor.preprocessing.to_input(i))
        for i in decoded
    ]
    outputs = [predictor.infer([p]) for p in prepared]

    def cost(stage: Callable[[int], object]) -> float:
        seconds = []
        for _ in range(repeats):
            began = time.process_time()
            for number in range(len(images)):
                stage(number)
            seconds.append((time.process_time() - began) / len(images))
        return statistics.median(seconds)

    def render(number: int) -> object:
        height, width = decoded[number].shape[:2]
        return describe_prediction(to_prediction(outputs[number], 0, (height, width)), None)

    return {
        "decode": cost(lambda n: read_image(images[n])),
        "preprocess": cost(lambda n: predictor.preprocessing.to_input(decoded[n])),
        "forward": cost(lambda n: predictor.infer([prepared[n]])),
        "render": cost(render),
    }


def load(url: str, pid: int, requests: list[bytes], clients: int, seconds: float) -> Load:
    """Ask for so many seconds, after a warm-up.

    Raises:
        RuntimeError: An answer was an error.
    """

    def during(limit_s: float) -> Load:
        used, began = read_core_seconds(pid), time.perf_counter()
        statuses = asyncio.run(
            drive(url, requests, clients, lambda: time.perf_counter() - began < limit_s)
        )
        took = time.perf_counter() - began
        if set(statuses) != {200}:
            raise RuntimeError(f"every answer should be 200. Found {sorted(set(statuses))}.")
        return Load(len(statuses), took, read_core_seconds(pid).since(used))

    during(WARM_UP_S)
    return during(seconds)


if __name__ == "__main__":
    main()
