import numpy as np
import pytest
from scipy import stats

from saliency.metrics import bootstrap_interval, srcc


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(3, 2, 400)


def width(interval):
    return interval.high - interval.low


def test_mean_agrees_with_the_normal_interval(values):
    interval = bootstrap_interval(np.mean, values)
    expected = stats.norm.interval(0.95, values.mean(), values.std() / np.sqrt(len(values)))
    assert interval == pytest.approx(expected, abs=0.03)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [
        bootstrap_interval(np.mean, rng.normal(0, 1, 50), level=0.8, resamples=200)
        for _ in range(200)
    ]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.8, abs=0.07)


def test_higher_level_is_wider(values):
    assert width(bootstrap_interval(np.mean, values, level=0.99)) > width(
        bootstrap_interval(np.mean, values, level=0.5)
    )


def test_same_seed_repeats(values):
    assert bootstrap_interval(np.mean, values) == bootstrap_interval(np.mean, values)


def test_other_seed_differs(values):
    assert bootstrap_interval(np.mean, values) != bootstrap_interval(np.mean, values, seed=1)


def test_columns_stay_paired(values):
    # Resampled apart, two copies of a column would not correlate.
    low, high = bootstrap_interval(srcc, values, values, resamples=50)
    assert (low, high) == pytest.approx((1, 1))


def test_rows_of_a_matrix_stay_whole(values):
    matrix = np.stack([values, -values], axis=1)
    interval = bootstrap_interval(lambda rows: np.abs(rows.sum(axis=1)).max(), matrix, resamples=50)
    assert interval == (0, 0)


def test_near_twins_widen_the_interval(values):
    # Ten copies of each of 40 images hold the information of 40, not of 400.
    groups = np.repeat(np.arange(40), 10)
    copies = values[:40][groups]
    ratio = width(bootstrap_interval(np.mean, copies, groups=groups)) / width(
        bootstrap_interval(np.mean, copies)
    )
    assert ratio == pytest.approx(np.sqrt(10), rel=0.1)


def test_groups_are_drawn_whole():
    # Labels in mixed order, groups of 1, 2 and 3 rows: every row comes as often as its group.
    groups = np.array(["b", "c", "a", "c", "b", "c"])
    sizes = {"a": 1, "b": 2, "c": 3}

    def is_whole(drawn):
        return all(np.count_nonzero(drawn == name) % size == 0 for name, size in sizes.items())

    assert bootstrap_interval(is_whole, groups, groups=groups, resamples=100) == (1, 1)


def test_groups_of_one_row_are_the_plain_bootstrap(values):
    grouped = bootstrap_interval(np.mean, values, groups=np.arange(len(values)))
    assert grouped == pytest.approx(bootstrap_interval(np.mean, values))


def test_minus_infinity_stays_one(values):
    gains = np.append(values, [-np.inf] * 20)
    assert bootstrap_interval(np.mean, gains) == (-np.inf, -np.inf)


def test_columns_of_different_length_are_refused(values):
    with pytest.raises(ValueError, match=r"same number of rows, at least 1\. Found \[400, 399\]"):
        bootstrap_interval(srcc, values, values[1:])


def test_groups_of_different_length_are_refused(values):
    with pytest.raises(ValueError, match=r"same number of rows, at least 1\. Found \[400, 3\]"):
        bootstrap_interval(np.mean, values, groups=np.arange(3))


def test_no_image_is_refused():
    with pytest.raises(ValueError, match=r"at least 1\. Found \[0\]"):
        bootstrap_interval(np.mean, np.array([]))


@pytest.mark.parametrize("level", [0, 1, 95])
def test_level_is_a_share(values, level):
    with pytest.raises(ValueError, match="`level` should be between 0 and 1"):
        bootstrap_interval(np.mean, values, level=level)
