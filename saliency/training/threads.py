"""The number of threads that compute a run's steps on a CPU."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

SMALL = 1_000_000
"""Number of parameters below which a network's operations are so short that threads wait for each
other longer than they compute, above all beside other programs."""

TRIALS = 3


@contextmanager
def using_threads(wanted: int, network: nn.Module, device: torch.device) -> Iterator[None]:
    """Compute with a chosen number of threads inside the context, and then with as many as before.

    Args:
        wanted: Number of threads; 0: the number of OMP_NUM_THREADS, else of `choose_threads`.
        network: The network in training.
        device: Device of the run; if it is not a CPU, only `wanted` > 0 has an effect.
    """
    before = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(wanted)
    elif device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(choose_threads(network))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_threads(network: nn.Module) -> int:
    """Return 1 for a small network or on busy cores, else the present number of threads.

    Threads wait for the slowest one after each operation. If that one has to share its core, two
    threads are many times slower than one.
    """
    all_threads = torch.get_num_threads()
    if all_threads == 1 or sum(p.numel() for p in network.parameters()) < SMALL:
        return 1
    seconds: dict[int, list[float]] = {1: [], all_threads: []}
    for _ in range(TRIALS):
        for threads, measured in seconds.items():
            measured.append(_time_convolution(threads))
    return min(seconds, key=lambda threads: statistics.median(seconds[threads]))


def _time_convolution(threads: int) -> float:
    """Return the seconds that a sample convolution takes."""
    torch.set_num_threads(threads)
    images, weight = torch.ones(32, 64, 24, 32), torch.ones(64, 64, 3, 3)
    begun = time.perf_counter()
    for _ in range(2):
        torch.conv2d(images, weight, padding=1)
    return time.perf_counter() - begun
