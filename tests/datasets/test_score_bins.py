import numpy as np
import pytest

from saliency.datasets import score_to_ten_bins, to_ten_bins
from saliency.errors import DatasetError
from saliency.types import SCORES


@pytest.mark.parametrize(("low", "high"), [(1, 10), (-5, 5), (0, 100)])
def test_a_scale_of_ten_or_more_keeps_the_mean_from_end_to_end(low, high):
    counts = np.random.default_rng(high).integers(0, 50, high - low + 1) + 1
    mean = counts @ np.arange(low, high + 1) / counts.sum()
    bins = to_ten_bins(counts, low, high)
    assert bins @ SCORES == pytest.approx(1 + 9 * (mean - low) / (high - low), abs=1e-12)
    assert bins.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("low", "high"), [(1, 7), (1, 5), (0, 1), (-3, 3)])
def test_a_coarse_scale_keeps_the_mean_but_for_the_outer_halves_of_the_outer_bins(low, high):
    counts = np.random.default_rng(high).integers(0, 50, high - low + 1) + 1
    ratings = np.arange(low, high + 1)
    mean = counts @ ratings / counts.sum()
    bins = to_ten_bins(counts, low, high)
    line = 5.5 + 10 / len(ratings) * (mean - ratings.mean())
    assert bins @ SCORES == pytest.approx(line, abs=0.09)
    assert bins.sum() == pytest.approx(1, abs=1e-12)
    assert (bins >= 0).all()


def test_on_a_fine_scale_mass_lies_only_in_the_two_nearest_bins():
    counts = np.zeros(19)  # 1..19: a step is half a bin
    counts[3] = 1  # a 4 stands at 2.5
    np.testing.assert_allclose(to_ten_bins(counts, 1, 19)[1:3], [0.5, 0.5])


def test_a_coarse_rating_is_spread_over_its_part_of_the_scale():
    bins = to_ten_bins([0, 0, 1, 0, 0, 0, 0], 1, 7)  # a 3 of 1..7 stands at 4.07 -+ .71
    assert bins @ SCORES == pytest.approx(5.5 - 10 / 7, abs=1e-3)
    assert np.flatnonzero(bins > 1e-6).tolist() == [2, 3, 4]


@pytest.mark.parametrize("ratings", [2, 5, 7, 9])
def test_even_votes_give_even_bins(ratings):
    np.testing.assert_allclose(to_ten_bins([1] * ratings, 1, ratings), 0.1, atol=1e-3)


def test_ten_ratings_stay_as_they_are():
    counts = np.arange(10)
    np.testing.assert_allclose(to_ten_bins(counts, 1, 10), counts / counts.sum(), atol=1e-15)


@pytest.mark.parametrize(("score", "low", "high"), [(1, 1, 7), (7, 1, 7), (4, 1, 7), (0.37, 0, 1)])
def test_a_mean_rating_keeps_its_place(score, low, high):
    bins = score_to_ten_bins(score, low, high)
    assert bins @ SCORES == pytest.approx(1 + 9 * (score - low) / (high - low), abs=1e-12)
    assert np.count_nonzero(bins) <= 2


@pytest.mark.parametrize("counts", [[1, 2, 3], [0] * 7, [1, 1, 1, 1, 1, 1, -1], [np.nan] * 7])
def test_counts_that_are_no_histogram_of_the_scale_are_refused(counts):
    with pytest.raises(DatasetError, match="`counts` should"):
        to_ten_bins(counts, 1, 7)


@pytest.mark.parametrize("score", [0.9, 7.1, np.nan])
def test_a_score_off_the_scale_is_refused(score):
    with pytest.raises(DatasetError, match=r"`score` should be within 1\.\.7"):
        score_to_ten_bins(score, 1, 7)
