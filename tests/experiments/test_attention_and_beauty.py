"""Statistics of attention with known answers, and correlations of real small sets."""

import numpy as np
import pytest

from saliency.datasets import DrawnDataset
from saliency.experiments.attention_and_beauty import agreement, describe, relate_rated
from saliency.predictor import Predictor
from saliency.types import Fixations

SIZE = (60, 80)


def look(x, y, count=3):
    return Fixations(np.full(count, x, np.float32), np.full(count, y, np.float32))


def test_attention_in_the_middle_is_at_distance_0():
    density = np.zeros((61, 81), np.float32)
    density[30, 40] = 1
    assert describe(density)["center_distance"] == pytest.approx(0, abs=1e-6)


def test_attention_in_a_corner_is_at_distance_1():
    density = np.zeros((200, 200), np.float32)
    density[0, 0] = 1
    assert describe(density)["center_distance"] == pytest.approx(1, abs=0.01)


def test_viewers_who_look_at_one_place_agree():
    assert agreement([look(20, 20)] * 6, SIZE) == pytest.approx(1, abs=1e-5)


def test_viewers_of_two_minds_do_not_agree():
    viewers = [look(10, 10), look(70, 50)] * 3  # every other one
    assert agreement(viewers, SIZE) < 0.1


def test_few_viewers_say_nothing():
    assert agreement([look(20, 20)] * 3 + [look(0, 0, 0)], SIZE) is None


def test_every_statistic_is_related_to_the_ratings(tiny_weights):
    dataset = DrawnDataset(12, 0, rated=True)
    relations = relate_rated(dataset, Predictor.load(tiny_weights, "cpu"))
    assert [r.statistic for r in relations] == ["entropy", "concentration", "center_distance"]
    assert all(r.images == 12 and r.interval.low <= r.srcc <= r.interval.high for r in relations)
