"""Stated deviations against errors whose distribution is known."""

import numpy as np
import pytest

from saliency.metrics import error_rank, share_within


def test_larger_errors_where_larger_ones_are_stated_rank_1():
    assert error_rank(np.array([0.1, -0.5, 0.9]), np.array([1.0, 2.0, 3.0])) == pytest.approx(1)


def test_the_wrong_way_round_ranks_minus_1():
    assert error_rank(np.array([0.9, -0.5, 0.1]), np.array([1.0, 2.0, 3.0])) == pytest.approx(-1)


def test_a_constant_statement_ranks_nothing():
    assert error_rank(np.array([0.1, -0.5, 0.9]), np.ones(3)) == 0


def test_perfect_statements_of_gaussian_errors_are_far_from_1():
    random = np.random.default_rng(0)
    stds = np.exp(random.uniform(0, np.log(3), 50_000))
    assert error_rank(random.normal(0, stds), stds) == pytest.approx(0.32, abs=0.02)


@pytest.mark.parametrize(("factor", "share"), [(1, 0.683), (2, 0.954)])
def test_gaussian_errors_stated_right_have_the_gaussian_shares(factor, share):
    random = np.random.default_rng(0)
    stds = random.uniform(0.1, 3, 50_000)
    errors = random.normal(0, stds)
    assert share_within(errors, stds, factor) == pytest.approx(share, abs=0.01)


def test_uniform_errors_by_hand():
    errors = np.linspace(-1, 1, 20_001)
    assert share_within(errors, np.full(20_001, 0.25), 2) == pytest.approx(0.5, abs=1e-3)


def test_an_error_at_the_edge_is_within():
    assert share_within(np.array([-0.5, 0.5, 0.51]), np.full(3, 0.5)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("count", [0, 2])
def test_unequal_or_empty_columns_are_refused(count):
    with pytest.raises(ValueError, match=r"shape \(N,\), N >= 1"):
        share_within(np.zeros(count), np.zeros(0))


@pytest.mark.parametrize("std", [-0.1, np.nan])
def test_a_deviation_below_0_is_refused(std):
    with pytest.raises(ValueError, match=r"`stds` should be at least 0"):
        share_within(np.zeros(1), np.array([std]))
