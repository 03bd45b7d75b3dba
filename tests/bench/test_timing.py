import statistics
import time

import cv2
import pytest
import torch

from saliency.bench.timing import Figure, Label, measure, one_thread


def test_every_figure_has_its_turn_in_every_round():
    calls = []
    figures = [Figure(Label(name), lambda name=name: calls.append(name)) for name in "ab"]

    measure(figures, seconds=0, rounds=3)

    in_turns = "".join(calls).lstrip("a").lstrip("b")  # behind the warm-up
    assert in_turns == "ababab"


def test_cost_is_that_of_one_photo():
    one = Figure(Label("one"), lambda: time.sleep(0.02))
    ten = Figure(Label("ten"), lambda: time.sleep(0.02), photos=10)

    of_one, of_ten = map(statistics.median, measure([one, ten], seconds=0, rounds=3).values())

    assert of_one / of_ten == pytest.approx(10, rel=0.5)


def test_waiting_is_no_cost_on_one_thread():
    labels = (Label("wait", one_thread=True), Label("wait"))
    figures = [Figure(label, lambda: time.sleep(0.05)) for label in labels]

    alone, by_clock = map(statistics.median, measure(figures, seconds=0, rounds=3).values())

    assert alone < by_clock / 2


def test_slow_figures_are_called_once_a_round_and_fast_ones_as_time_allows():
    counts = {"slow": 0, "fast": 0}

    def count(name, seconds):
        counts[name] += 1
        time.sleep(seconds)

    figures = [
        Figure(Label("slow"), lambda: count("slow", 0.05)),
        Figure(Label("fast"), lambda: count("fast", 0.001)),
    ]
    measure(figures, seconds=0.1, rounds=5)

    assert counts["slow"] == 1 + 5
    assert counts["fast"] > 5 + 5


def test_one_thread_gives_the_threads_back():
    before = torch.get_num_threads(), cv2.getNumThreads()
    seen = []
    with one_thread():
        seen.append((torch.get_num_threads(), cv2.getNumThreads()))

    assert seen == [(1, 1)]
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
