"""Equal weighting is the mean over all tasks."""

import torch

from saliency.weighting import EqualWeighting


def test_it_is_the_mean():
    losses = [torch.tensor(value) for value in (2.0, 3.0, 7.0)]
    assert float(EqualWeighting(3)(losses, [True] * 3)) == 4.0


def test_an_absent_task_does_not_raise_the_weight_of_the_others():
    losses = [torch.tensor(2.0), torch.tensor(8.0)]
    assert float(EqualWeighting(2)(losses, [True, False])) == 1.0


def test_current_weights_are_equal():
    assert EqualWeighting(4).current.tolist() == [0.25] * 4
