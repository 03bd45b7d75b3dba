"""Versions with known densities differ by what was moved."""

import numpy as np
import pytest

from saliency.comparison import compare
from saliency.errors import InsightError
from saliency.insights import Box, Region
from saliency.types import Prediction


def predict(density, score=5.0):
    height, width = density.shape
    return Prediction((height, width), (density / density.sum()).astype(np.float32), score, 1, None)


def halves(left, right, size=(100, 200)):
    """A density with so much attention in each half."""
    density = np.empty(size)
    density[:, : size[1] // 2], density[:, size[1] // 2 :] = left, right
    return predict(density)


def test_nothing_changes_between_a_version_and_itself():
    version = predict(np.random.default_rng(0).random((90, 120)))
    same = compare(version, version)
    assert (same.score_difference, same.cc) == pytest.approx((0, 1))
    assert (same.sim, same.moved, same.kl_div) == pytest.approx((1, 0, 0), abs=1e-6)
    assert same.before == same.after


def test_the_score_difference_is_the_second_less_the_first():
    density = np.ones((10, 10))
    assert compare(predict(density, 6.0), predict(density, 5.5)).score_difference == -0.5


def test_without_scores_there_is_no_difference():
    density = np.ones((10, 10))
    assert compare(predict(density, None), predict(density, 5.5)).score_difference is None


def test_attention_that_changes_sides_is_counted_once():
    result = compare(halves(0.8, 0.2), halves(0.5, 0.5))
    assert (result.sim, result.moved) == pytest.approx((0.7, 0.3), abs=1e-5)


def test_opposite_versions_correlate_negatively():
    assert compare(halves(0.8, 0.2), halves(0.2, 0.8)).cc == pytest.approx(-1)


def test_kl_div_is_that_of_the_first_as_a_prediction_of_the_second():
    result = compare(halves(0.8, 0.2), halves(0.5, 0.5))
    expected = 0.5 * np.log(0.5 / 0.8) + 0.5 * np.log(0.5 / 0.2)
    assert result.kl_div == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [(200, 400), (50, 100), (1000, 2000), (300, 200)])
def test_places_are_shares_of_width_and_height(size):
    result = compare(halves(0.8, 0.2), halves(0.8, 0.2, size))
    assert (result.cc, result.moved) == pytest.approx((1, 0), abs=1e-5)


def test_a_region_is_measured_in_both_versions():
    left, right = Region("left", Box(0, 0, 100, 100)), Region("right", Box(100, 0, 100, 100))
    changes = compare(halves(0.8, 0.2), halves(0.4, 0.6), [left, right], [left, right]).regions
    assert [change.name for change in changes] == ["left", "right"]
    assert [change.before.share for change in changes] == pytest.approx([0.8, 0.2])
    assert [change.after.share for change in changes] == pytest.approx([0.4, 0.6])
    assert [change.after.rank for change in changes] == [2, 1]


def test_a_region_may_lie_elsewhere_in_the_second():
    before, after = Region("cta", Box(0, 0, 100, 100)), Region("cta", Box(100, 0, 100, 100))
    (change,) = compare(halves(0.8, 0.2), halves(0.8, 0.2), [before], [after]).regions
    assert (change.before.share, change.after.share) == pytest.approx((0.8, 0.2))


def test_both_versions_have_the_same_regions():
    box = Box(0, 0, 5, 5)
    with pytest.raises(InsightError, match=r"Found \['a'\] and \['b'\]"):
        compare(halves(1, 1), halves(1, 1), [Region("a", box)], [Region("b", box)])


def test_a_network_without_a_saliency_head_is_said():
    with pytest.raises(InsightError, match="saliency head"):
        compare(halves(1, 1), Prediction((10, 10), None, 5.0, 1, None))
