"""The weighted gradients of all tasks have norm 1."""

import pytest
import torch

from saliency.weighting import GradientWeighting


def test_the_gradient_is_the_sum_of_unit_gradients(problem):
    # (-6, -8) has length 10, (0, .5) has length .5
    found = problem.gradient(GradientWeighting(2, "features"))
    assert found.tolist() == pytest.approx([-0.6, -0.8 + 1.0])


def test_a_factor_on_a_loss_changes_nothing(quadratics):
    scaled = quadratics(factors=(2.0, 0.5 * 77))
    gradients = [p.gradient(GradientWeighting(2, "features")) for p in (quadratics(), scaled)]
    torch.testing.assert_close(*gradients)


def test_a_constant_added_to_a_loss_changes_nothing(quadratics):
    shifted = quadratics(shifts=(0.0, 5.0))
    gradients = [p.gradient(GradientWeighting(2, "features")) for p in (quadratics(), shifted)]
    assert torch.equal(*gradients)


def test_the_norm_is_over_all_shared_tensors_together():
    a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    weighting = GradientWeighting(1, "parameters")
    weighting([3 * a.sum() + 4 * b.sum()], [True], [a, b])
    assert weighting.current.tolist() == pytest.approx([1 / 5])
