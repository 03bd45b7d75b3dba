import numpy as np
import pytest

from saliency.datasets import score_to_ten_bins, to_ten_bins
from saliency.errors import DatasetError
from saliency.types import SCORES


@pytest.mark.parametrize(("low", "high"), [(1, 7), (1, 5), (0, 1), (1, 10), (-3, 3), (0, 100)])
def test_the_affine_mean_and_the_mass_are_kept(low, high):
    counts = np.random.default_rng(high).integers(0, 50, high - low + 1) + 1
    mean = counts @ np.arange(low, high + 1) / counts.sum()
    bins = to_ten_bins(counts, low, high)
    assert bins @ SCORES == pytest.approx(1 + 9 * (mean - low) / (high - low), abs=1e-12)
    assert bins.sum() == pytest.approx(1, abs=1e-12)
    assert (bins >= 0).all()


def test_on_a_fine_scale_mass_lies_only_in_the_two_nearest_bins():
    counts = np.zeros(19)  # 1..19: a step is half a bin
    counts[3] = 1  # a 4 stands at 2.5
    np.testing.assert_allclose(to_ten_bins(counts, 1, 19)[1:3], [0.5, 0.5])


def test_a_coarse_rating_is_spread_over_its_cell():
    bins = to_ten_bins([0, 0, 1, 0, 0, 0, 0], 1, 7)  # a 3 of 1..7 stands at 4 -+ .75
    np.testing.assert_allclose(bins[2:5], [3 / 16, 5 / 8, 3 / 16], atol=1e-3)


def test_even_votes_on_a_coarse_scale_leave_no_gaps():
    bins = to_ten_bins([1] * 7, 1, 7)
    assert np.ptp(bins[2:8]) < 1e-3  # at the ends, some mass stays on the last bins


@pytest.mark.parametrize("end", [0, -1])
def test_the_worst_and_the_best_rating_stay_at_the_ends(end):
    counts = np.zeros(7)
    counts[end] = 1
    assert to_ten_bins(counts, 1, 7)[end] == 1


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
