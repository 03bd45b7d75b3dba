"""Weights given by hand stay as they were given."""

import pytest
import torch
from torch import Tensor

from saliency.weighting import FixedWeighting


def losses() -> list[Tensor]:
    return [torch.tensor(value, requires_grad=True) for value in (2.0, 3.0, 5.0)]


def test_it_is_the_weighted_sum():
    assert float(FixedWeighting([1, 10, 100])(losses(), [True] * 3).detach()) == 532


def test_each_loss_gets_its_weight_as_gradient():
    values = losses()
    FixedWeighting([1, 10, 100])(values, [True] * 3).backward()
    assert [float(value.grad) for value in values] == [1, 10, 100]


def test_an_absent_task_adds_nothing():
    assert float(FixedWeighting([1, 10, 100])(losses(), [True, False, True]).detach()) == 502


def test_an_absent_task_gets_no_gradient():
    values = losses()
    FixedWeighting([1, 10, 100])(values, [True, False, True]).backward()
    assert values[1].grad is None


def test_an_absent_task_may_even_be_nan():
    values = [torch.tensor(2.0), torch.tensor(float("nan"))]
    assert float(FixedWeighting([1, 1])(values, [True, False])) == 2


def test_no_task_at_all_is_0():
    assert float(FixedWeighting([1, 10, 100])(losses(), [False] * 3)) == 0


def test_current_weights_are_those_given():
    assert FixedWeighting([1, 10]).current.tolist() == [1, 10]


def test_nothing_is_learned():
    assert list(FixedWeighting([1, 10]).parameters()) == []


def test_a_loss_too_many_is_an_error():
    with pytest.raises(ValueError, match=r"each of 2 tasks\. Found 3 and 3"):
        FixedWeighting([1, 10])(losses(), [True] * 3)
