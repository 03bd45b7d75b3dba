"""Weights are the inverse losses of the batch."""

import pytest
import torch

from saliency.weighting import RealtimeWeighting


def test_the_gradient_is_that_of_the_sum_of_logs(problem):
    found = problem.gradient(RealtimeWeighting(2))
    logs = sum(loss.log() for loss in problem.losses())
    torch.testing.assert_close(found, torch.autograd.grad(logs, problem.x)[0])


def test_the_gradient_is_twice_that_of_the_log_geometric_mean(problem):
    found = problem.gradient(RealtimeWeighting(2))
    first, second = problem.losses()
    mean = (first * second).sqrt().log()
    torch.testing.assert_close(found, 2 * torch.autograd.grad(mean, problem.x)[0])


def test_a_factor_on_a_loss_changes_nothing(quadratics):
    scaled = quadratics(factors=(2.0, 0.5 * 77))
    gradients = [p.gradient(RealtimeWeighting(2)) for p in (quadratics(), scaled)]
    torch.testing.assert_close(*gradients)


def test_many_small_losses_do_not_underflow():
    losses = [torch.tensor(1e-6, requires_grad=True) for _ in range(20)]  # product 1e-120
    RealtimeWeighting(20)(losses, [True] * 20).backward()
    assert [float(loss.grad) for loss in losses] == pytest.approx([1e6] * 20)
