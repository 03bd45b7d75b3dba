"""Threads keep the order, take items as they are needed, and stop when nobody wants the rest."""

import threading
import time
from itertools import count, islice

import pytest

from saliency.threads import map_ahead, split_groups


def test_results_come_in_order_whichever_is_ready_first():
    delays = [0.05, 0, 0.02, 0, 0]

    def wait(item: int) -> int:
        time.sleep(delays[item])
        return item

    assert list(map_ahead(wait, range(5), 3)) == [0, 1, 2, 3, 4]


def test_items_run_at_the_same_time():
    both = threading.Barrier(2, timeout=10)
    list(map_ahead(lambda _: both.wait(), range(2), 2))  # breaks if one waits for the other


def test_endless_items_are_taken_as_they_are_needed():
    taken = []
    items = (taken.append(item) or item for item in count())
    assert list(islice(map_ahead(lambda item: item, items, 2), 3)) == [0, 1, 2]
    assert len(taken) <= 3 + 2 * 2


def test_results_before_an_error_are_yielded():
    results = map_ahead(lambda item: 1 / item, [2, 1, 0, 4], 2)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_nobody_wants_is_not_begun():
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.01)
        return item

    results = map_ahead(work, range(100), 1)
    next(results)
    results.close()
    assert len(begun) < 100


def test_groups_have_one_size_but_for_the_last():
    assert list(split_groups(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(split_groups([], 2)) == []
