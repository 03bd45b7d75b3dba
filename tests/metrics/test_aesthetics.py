import numpy as np
import pytest
from scipy import stats

from saliency.metrics import binary_accuracy, emd, mean_score, plcc, score_std, srcc
from saliency.types import SCORE_BINS


def votes(*scores):
    """One row a score: everybody votes for it."""
    return np.eye(SCORE_BINS)[np.array(scores) - 1]


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    target = rng.normal(5, 1.5, 200)
    return target + rng.normal(0, 1, 200), target


class TestCorrelations:
    def test_srcc_agrees_with_scipy(self, scores):
        assert srcc(*scores) == pytest.approx(stats.spearmanr(*scores).statistic)

    def test_srcc_with_ties_agrees_with_scipy(self, scores):
        prediction, target = (np.round(values) for values in scores)
        assert srcc(prediction, target) == pytest.approx(
            stats.spearmanr(prediction, target).statistic
        )

    def test_ties_do_not_depend_on_the_order_of_images(self):
        prediction, target = np.array([1.0, 1, 1, 2]), np.array([1.0, 2, 3, 4])
        swapped = np.array([3.0, 2, 1, 4])
        assert srcc(prediction, target) == pytest.approx(srcc(prediction, swapped))

    def test_plcc_agrees_with_scipy(self, scores):
        assert plcc(*scores) == pytest.approx(stats.pearsonr(*scores).statistic)

    def test_only_srcc_ignores_a_monotone_curve(self):
        target = np.linspace(1, 10, 20)
        assert srcc(np.exp(target), target) == pytest.approx(1)
        assert plcc(np.exp(target), target) < 0.8

    @pytest.mark.parametrize("metric", [srcc, plcc])
    def test_constant_is_0(self, metric):
        constant, target = np.full(7, 0.1), np.arange(7.0)
        assert (metric(constant, target), metric(target, constant)) == (0, 0)

    @pytest.mark.parametrize("metric", [srcc, plcc, binary_accuracy])
    def test_columns_do_not_broadcast(self, metric):
        with pytest.raises(ValueError, match=r"shape \(N,\), N >= 2\. Found \(3, 1\) and \(3,\)"):
            metric(np.ones((3, 1)), np.ones(3))

    @pytest.mark.parametrize("metric", [srcc, plcc, binary_accuracy])
    def test_nan_is_named(self, metric):
        with pytest.raises(ValueError, match=r"`prediction` should be finite\. Found 1"):
            metric(np.array([1, np.nan]), np.ones(2))


class TestBinaryAccuracy:
    def test_by_hand(self):
        prediction, target = np.array([4.0, 6, 6, 4]), np.array([3.0, 7, 2, 9])
        assert binary_accuracy(prediction, target) == 0.5

    def test_score_at_the_cut_is_below(self):
        assert binary_accuracy(np.array([5.0, 5.0]), np.array([1.0, 1.0])) == 1

    def test_cut_can_be_moved(self):
        prediction, target = np.array([5.2, 5.2]), np.array([5.4, 6])
        assert binary_accuracy(prediction, target) == 1
        assert binary_accuracy(prediction, target, cut=5.5) == 0.5


class TestEmd:
    def test_self_is_0(self):
        assert emd(votes(3, 7), votes(3, 7)) == 0

    def test_far_costs_more_than_near(self):
        # Without the cumulative sum both would cost the same.
        assert emd(votes(1), votes(2)) == pytest.approx(np.sqrt(1 / 10))
        assert emd(votes(1), votes(10)) == pytest.approx(np.sqrt(9 / 10))

    def test_root_is_taken_for_each_image(self):
        value = emd(votes(1, 1), votes(1, 5))
        assert value == pytest.approx((0 + np.sqrt(4 / 10)) / 2)

    def test_logits_are_no_distribution(self):
        with pytest.raises(ValueError, match="`prediction_distributions` should be non-negative"):
            emd(-votes(1), votes(1))

    def test_counts_are_no_distribution(self):
        with pytest.raises(ValueError, match=r"`target_distributions` should sum to 1.*Found 210"):
            emd(votes(1), 210 * votes(1))

    def test_nan_is_no_distribution(self):
        with pytest.raises(ValueError, match="should be non-negative"):
            emd(np.full((1, SCORE_BINS), np.nan), votes(1))

    def test_one_row_does_not_broadcast(self):
        with pytest.raises(ValueError, match=r"Found \(1, 10\) and \(2, 10\)"):
            emd(votes(1), votes(1, 2))


class TestMoments:
    def test_first_bin_is_score_1(self):
        assert mean_score(votes(1, 10)).tolist() == [1, 10]

    def test_mean_of_one_distribution(self):
        assert float(mean_score((votes(4) + votes(5))[0] / 2)) == 4.5

    def test_std_by_hand(self):
        assert float(score_std((votes(1) + votes(10))[0] / 2)) == pytest.approx(4.5)

    def test_std_of_agreement_is_0(self):
        assert score_std(votes(3, 8)).tolist() == [0, 0]

    def test_number_of_bins_is_fixed(self):
        with pytest.raises(ValueError, match=r"shape \(\.\.\., 10\)\. Found \(2, 7\)"):
            mean_score(np.full((2, 7), 1 / 7))
