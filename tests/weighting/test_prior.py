"""Weights are the inverse losses of constant predictions."""

import pytest
import torch

from saliency.errors import ConfigError
from saliency.weighting import PriorWeighting


def started():
    weighting = PriorWeighting(2)
    weighting.start(lambda: [2.0, 0.05])
    return weighting


def test_weights_are_the_inverse_constant_losses(problem):
    weighting = started()
    problem.gradient(weighting)
    assert weighting.current.tolist() == pytest.approx([0.5, 20])


def test_a_constant_prediction_costs_1_a_task():
    total = started()([torch.tensor(2.0), torch.tensor(0.05)], [True, True])
    assert total.item() == pytest.approx(2)


def test_weights_are_1_before_the_start(problem):
    weighting = PriorWeighting(2)
    problem.gradient(weighting)
    assert weighting.current.tolist() == [1, 1]


@pytest.mark.parametrize("losses", [[1.0, 0.0], [1.0, float("nan")]])
def test_labels_that_are_all_the_same_are_refused(losses):
    with pytest.raises(ConfigError, match="labels that differ"):
        PriorWeighting(2).start(lambda: losses)
