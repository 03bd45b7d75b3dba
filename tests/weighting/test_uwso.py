"""UW-SO's weights are the softmax of tempered inverse losses."""

from math import exp

import pytest
import torch

from saliency.weighting import SoftOptimalUncertaintyWeighting

BOTH = [True, True]


def call(weighting, losses, present=BOTH):
    weighting([torch.tensor(loss) for loss in losses], present)
    return weighting.current.tolist()


def test_two_tasks_in_closed_form():
    weights = call(SoftOptimalUncertaintyWeighting(2, temperature=2.0), [0.5, 0.25])
    first = 1 / (1 + exp(4 / 2 - 2 / 2))  # logistic function of the difference
    assert weights == pytest.approx([first, 1 - first])


def test_equal_losses_have_equal_weights():
    assert call(SoftOptimalUncertaintyWeighting(2, 1.0), [0.3, 0.3]) == pytest.approx([0.5, 0.5])


def test_a_high_temperature_gives_equal_weights():
    weights = call(SoftOptimalUncertaintyWeighting(2, 1e6), [2.0, 0.01])
    assert weights == pytest.approx([0.5, 0.5], abs=1e-4)


def test_a_low_temperature_gives_all_to_the_smallest_loss():
    assert call(SoftOptimalUncertaintyWeighting(2, 1e-3), [2.0, 0.1]) == pytest.approx([0, 1])


def test_a_task_alone_has_its_share_of_k_tasks():
    weighting = SoftOptimalUncertaintyWeighting(2, 1.0)
    assert call(weighting, [2.0, 0.1], [True, False])[0] == pytest.approx(0.5)


def test_a_loss_of_0_stays_finite():
    weights = call(SoftOptimalUncertaintyWeighting(2, 1.0), [0.0, 0.1])
    assert weights == pytest.approx([1, 0])
