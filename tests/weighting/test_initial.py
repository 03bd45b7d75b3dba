"""Weights are the inverse losses of the first batches."""

import pytest
import torch

from saliency.weighting import InitialWeighting

BOTH = [True, True]


def call(weighting, losses, present=BOTH):
    return weighting([torch.tensor(value) for value in losses], present)


def test_weights_are_inverse_mean_first_losses():
    weighting = InitialWeighting(2, batches=2)
    for losses in ([3.0, 0.2], [5.0, 0.3]):
        call(weighting, losses)
    assert weighting.current.tolist() == pytest.approx([1 / 4, 1 / 0.25])


def test_later_batches_do_not_matter():
    weighting = InitialWeighting(2, batches=1)
    call(weighting, [4.0, 0.5])
    call(weighting, [100.0, 100.0])
    assert weighting.current.tolist() == [0.25, 2]


def test_each_task_counts_its_own_batches():
    weighting = InitialWeighting(2, batches=2)
    call(weighting, [4.0, 0.0], [True, False])
    call(weighting, [6.0, 0.5])
    call(weighting, [9.0, 1.5])
    assert weighting.current.tolist() == pytest.approx([1 / 5, 1])


def test_a_factor_on_a_loss_changes_nothing(quadratics):
    scaled = quadratics(factors=(2.0, 0.5 * 77))
    gradients = [p.gradient(InitialWeighting(2, batches=3)) for p in (quadratics(), scaled)]
    torch.testing.assert_close(*gradients)


def test_a_constant_added_to_a_loss_changes_something(quadratics):
    shifted = quadratics(shifts=(0.0, 5.0))
    gradients = [p.gradient(InitialWeighting(2, batches=3)) for p in (quadratics(), shifted)]
    assert not torch.allclose(*gradients)
