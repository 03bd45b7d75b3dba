"""Time several things in turn, round by round, so that noise affects all of them alike."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import cv2

ROUNDS = 5
SETTLE_S = 0.01
"""Pause between calls: worker threads of a library keep spinning for milliseconds after a call."""


class Label(NamedTuple):
    """Description of a figure that is timed.

    Attributes:
        stage: Name of the step, one of those in `saliency.bench.results`.
        backend: Backend that computes the network; None for steps without one.
        megapixels: Size of the photo; None where it does not matter.
        batch_size: Photos that go through the network together; None for steps without the network.
        one_thread: Whether it may use only one core. Its cost is then processor time, which other
            work on the machine hardly changes.
    """

    stage: str
    backend: str | None = None
    megapixels: float | None = None
    batch_size: int | None = None
    one_thread: bool = False


@dataclass(frozen=True)
class Figure:
    """Something to time.

    Attributes:
        label: Description of the figure.
        call: Function that does the step once.
        photos: Number of photos that one call processes.
    """

    label: Label
    call: Callable[[], object]
    photos: int = 1


class Spread(NamedTuple):
    """The median of the rounds and their quartiles."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Spread:
        """Return the spread of two values or more."""
        low, middle, high = statistics.quantiles(rounds, n=4, method="inclusive")
        return cls(middle, low, high)


Timings = dict[Label, tuple[float, ...]]
"""Cost of a photo in milliseconds, one value for each round."""


def measure(
    figures: Sequence[Figure],
    seconds: float,
    on_round: Callable[[int], None] = lambda _: None,
    rounds: int = ROUNDS,
) -> Timings:
    """Time every figure in every round.

    A round's value is the median of its calls, of which there are as many as `seconds` allow.

    Args:
        figures: Figures to time.
        seconds: Time for each figure, all rounds together; slower ones are called once a round.
        on_round: Called with the number of each round before it begins, 0 being the warm-up.
        rounds: Number of rounds.
    """
    on_round(0)
    repeats = [_count_repeats(figure, seconds / rounds) for figure in figures]
    costs_ms: list[list[float]] = [[] for _ in figures]
    for number in range(rounds):
        on_round(number + 1)
        for figure, count, costs in zip(figures, repeats, costs_ms, strict=True):
            time.sleep(SETTLE_S)
            clock = 1 if figure.label.one_thread else 0
            calls = [call[clock] for call in _time_calls(figure, count)]
            costs.append(statistics.median(calls) * 1000 / figure.photos)
    return {f.label: tuple(costs) for f, costs in zip(figures, costs_ms, strict=True)}


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch and OpenCV to one core while inside."""
    torch = sys.modules.get("torch")  # if it was not imported, nothing computes with it
    of_torch, of_opencv = torch and torch.get_num_threads(), cv2.getNumThreads()
    if torch:
        torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(of_torch)
        cv2.setNumThreads(of_opencv)


def _count_repeats(figure: Figure, seconds: float) -> int:
    """Return how many calls fit into `seconds`, at least one; it is warm afterwards."""
    [(took_s, _)] = _time_calls(figure, 1)
    if took_s < seconds:  # else one-time costs of the first call do not matter
        [(took_s, _)] = _time_calls(figure, 1)
    return max(1, int(seconds / took_s))


def _time_calls(figure: Figure, count: int) -> list[tuple[float, float]]:
    """Return the wall time and the processor time of each call, in seconds."""
    calls = []
    with one_thread() if figure.label.one_thread else nullcontext():
        for _ in range(count):
            wall, cpu = time.perf_counter(), time.process_time()
            figure.call()
            calls.append((time.perf_counter() - wall, time.process_time() - cpu))
    return calls
