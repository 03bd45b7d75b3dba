"""Time several things in rounds that take turns, so that noise hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import cv2
import torch

ROUNDS = 5
SETTLE_S = 0.01
"""Worker threads of a library spin for milliseconds after its last call, on the next one's time."""


@dataclass(frozen=True)
class Figure:
    """Something to time, and what it is.

    Attributes:
        stage: What is done, one of the names in `saliency.bench.results`.
        call: Does it once.
        photos: How many photos a call does it for.
        backend: What computes the network; None where none does.
        megapixels: Size of the photo; None where it does not matter.
        batch_size: Photos that go through the network together; None where none do.
        one_thread: Whether it may use one core alone. Its cost is the processor's time then, which
            other work on the machine hardly changes.
    """

    stage: str
    call: Callable[[], object]
    photos: int = 1
    backend: str | None = None
    megapixels: float | None = None
    batch_size: int | None = None
    one_thread: bool = False


@dataclass(frozen=True)
class Timing:
    """What a photo cost, a value a round.

    Attributes:
        wall_ms: Milliseconds by the clock.
        cpu_ms: Milliseconds of all cores together.
        by_cpu: Whether the latter are its cost.
    """

    wall_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]
    by_cpu: bool = False

    @property
    def rounds_ms(self) -> tuple[float, ...]:
        """The cost in each round."""
        return self.cpu_ms if self.by_cpu else self.wall_ms

    @property
    def ms(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds_ms)

    @property
    def spread_ms(self) -> tuple[float, float]:
        """Lower and upper quartile of the rounds."""
        return quartiles(self.rounds_ms)

    @property
    def photos_per_s(self) -> float:
        """Photos a second, one after the other."""
        return 1000 / self.ms


@dataclass(frozen=True)
class Measurement:
    """A figure, measured; attributes as there."""

    stage: str
    timing: Timing
    photos: int = 1
    backend: str | None = None
    megapixels: float | None = None
    batch_size: int | None = None
    one_thread: bool = False


def measure(
    figures: Sequence[Figure],
    seconds: float,
    on_round: Callable[[int], None] = lambda _: None,
    rounds: int = ROUNDS,
) -> list[Measurement]:
    """Time every figure in every round.

    A round's value is the median of its calls, of which there are as many as `seconds` allow.

    Args:
        figures: What to time.
        seconds: For each figure, all rounds together; what is slower is called once a round.
        on_round: Told the number of each round before it begins, 0 being the warm-up.
        rounds: How often each has its turn.
    """
    on_round(0)
    repeats = [_count_repeats(figure, seconds / rounds) for figure in figures]
    walls: list[list[float]] = [[] for _ in figures]
    cpus: list[list[float]] = [[] for _ in figures]
    for number in range(rounds):
        on_round(number + 1)
        for figure, count, wall, cpu in zip(figures, repeats, walls, cpus, strict=True):
            time.sleep(SETTLE_S)
            calls = _time_calls(figure, count)
            wall.append(statistics.median(w for w, _ in calls) * 1000 / figure.photos)
            cpu.append(statistics.median(c for _, c in calls) * 1000 / figure.photos)
    return [
        Measurement(
            figure.stage,
            Timing(tuple(wall), tuple(cpu), by_cpu=figure.one_thread),
            figure.photos,
            figure.backend,
            figure.megapixels,
            figure.batch_size,
            figure.one_thread,
        )
        for figure, wall, cpu in zip(figures, walls, cpus, strict=True)
    ]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile of two values or more."""
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch and OpenCV to one core while inside."""
    of_torch, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(of_torch)
        cv2.setNumThreads(of_opencv)


def _count_repeats(figure: Figure, seconds: float) -> int:
    """Return how many calls fit into `seconds`, at least one; it is warm afterwards."""
    [(took, _)] = _time_calls(figure, 1)
    if took < seconds:  # else nothing that the first call did alone weighs
        [(took, _)] = _time_calls(figure, 1)
    return max(1, int(seconds / took))


def _time_calls(figure: Figure, count: int) -> list[tuple[float, float]]:
    """Return the seconds of each call, by the clock and of all cores together."""
    calls = []
    with one_thread() if figure.one_thread else nullcontext():
        for _ in range(count):
            wall, cpu = time.perf_counter(), time.process_time()
            figure.call()
            calls.append((time.perf_counter() - wall, time.process_time() - cpu))
    return calls
