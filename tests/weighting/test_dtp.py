"""Tasks that are not mastered get more weight, within bounds, whatever the indicators are."""

from math import log

import pytest
import torch

from saliency.weighting import DtpWeighting

NAN = float("nan")


def weights(weighting):
    weighting([torch.ones(())] * 2, [True, True])
    return weighting.current.tolist()


def after(*indicators, gammas=(1.0, 2.0), smoothing=1.0):
    weighting = DtpWeighting(gammas, smoothing)
    for pair in indicators:
        weighting.observe(pair)
    return weights(weighting)


def test_weights_are_1_before_the_first_validation():
    assert after() == [1, 1]


def test_weights_are_those_of_the_formula():
    expected = [-0.2 * log(0.8), -(0.6**2) * log(0.4)]
    assert after((0.8, 0.4)) == pytest.approx(expected)


def test_without_focus_weights_are_plain_logs():
    assert after((0.8, 0.4), gammas=(0.0, 0.0)) == pytest.approx([-log(0.8), -log(0.4)])


def test_indicators_are_averaged_over_validations():
    # .5, then .25 * .9 + .75 * .5 = .6
    found = after((0.5, 0.5), (0.9, 0.5), smoothing=0.25, gammas=(0.0, 0.0))
    assert found == pytest.approx([-log(0.6), -log(0.5)])


@pytest.mark.parametrize("indicator", [-1.0, -0.3, 0.0, 1e-6])
def test_a_correlation_that_is_not_positive_has_the_largest_weight(indicator):
    worst = after((indicator, 0.5))[0]
    assert worst == pytest.approx(-0.999 * log(1e-3))


def test_perfection_leaves_a_small_positive_weight():
    assert after((1.0, 1.0)) == pytest.approx([-1e-3 * log(0.999), -1e-6 * log(0.999)], rel=1e-3)


def test_a_better_task_weighs_less():
    grid = torch.linspace(-1, 1, 41).tolist()
    found = [after((value, 0.5))[0] for value in grid]
    assert found == sorted(found, reverse=True)


def test_an_unknown_indicator_changes_nothing():
    assert after((0.8, 0.4), (NAN, 0.4)) == after((0.8, 0.4))


def test_a_task_that_was_never_validated_keeps_a_weight_of_1():
    assert after((0.8, NAN))[1] == 1
