"""Shared parts of strategies: inner products of gradients, weights without a graph."""

import pytest
import torch

from saliency.weighting import FixedWeighting, TaskWeighting, gradient_products


def test_products_are_those_of_the_known_gradients(problem):
    products = gradient_products(problem.losses(), problem.present, problem.shared)
    torch.testing.assert_close(products, torch.tensor([[100, -4], [-4, 0.25]]))


def test_products_are_sums_over_all_shared_tensors():
    a, b = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([[3.0]], requires_grad=True)
    losses = [a.sum() + 2 * b.sum(), 5 * b.sum()]
    assert gradient_products(losses, [True, True], [a, b]).tolist() == [[6, 10], [10, 25]]


def test_the_graph_stays_for_the_backward_pass(problem):
    losses = problem.losses()
    gradient_products(losses, problem.present, problem.shared)
    sum(losses).backward()
    assert problem.x.grad.tolist() == pytest.approx([-6, -7.5])


def test_products_leave_no_gradient_behind(problem):
    gradient_products(problem.losses(), problem.present, problem.shared)
    assert problem.x.grad is None


def test_an_absent_task_has_no_products(problem):
    losses = [problem.losses()[0], torch.zeros(())]  # without a graph
    products = gradient_products(losses, [True, False], problem.shared)
    assert products[0, 0] == 100
    assert products.isnan().tolist() == [[False, True], [True, True]]


def test_a_tensor_that_a_task_does_not_depend_on_counts_as_0(problem):
    aside = torch.ones(3, requires_grad=True)
    losses = [problem.losses()[0], 2 * aside.sum()]
    products = gradient_products(losses, problem.present, [problem.x, aside])
    assert products.tolist() == [[100, 0], [0, 12]]


def test_half_precision_gradients_are_summed_in_single():
    x = torch.zeros(10_000, dtype=torch.bfloat16, requires_grad=True)
    product = gradient_products([x.sum()], [True], [x])
    assert product.dtype == torch.float32
    assert product.item() == 10_000  # in bfloat16 9984


def test_no_shared_tensor_is_an_error(problem):
    with pytest.raises(ValueError, match="`shared` should hold"):
        gradient_products(problem.losses(), problem.present, [])


def test_normalized_weights_sum_to_the_number_of_tasks():
    assert FixedWeighting([1.0, 10.0, 89.0]).normalized.tolist() == pytest.approx([0.03, 0.3, 2.67])


@pytest.mark.parametrize(("losses", "flags"), [(1, 2), (2, 1), (3, 3)])
def test_a_task_too_many_or_too_few_is_an_error(losses, flags):
    with pytest.raises(ValueError, match=f"each of 2 tasks. Found {losses} and {flags}"):
        FixedWeighting([1.0, 1.0])([torch.ones(())] * losses, [True] * flags)


def test_a_strategy_without_a_rule_is_no_strategy():
    with pytest.raises(NotImplementedError):
        TaskWeighting(1)([torch.ones(())], [True])


class Looking(TaskWeighting):
    def __init__(self, needs):
        super().__init__(2)
        self.needs = needs


class TestSeveralProcesses:
    """Another process with the same losses and gradients, so that every sum is twice as much."""

    def products(self, problem, needs):
        weighting = Looking(needs)
        alone = weighting.products(problem.losses(), [True, True], problem.shared)
        weighting.add_up = lambda tensors: [2 * tensor for tensor in tensors]
        return alone, weighting.products(problem.losses(), [True, True], problem.shared)

    @pytest.mark.parametrize("needs", ["last_layer", "parameters"])
    def test_gradients_of_the_same_parameters_add_up_before_they_are_multiplied(
        self, problem, needs
    ):
        alone, both = self.products(problem, needs)
        torch.testing.assert_close(both, 4 * alone)

    def test_features_of_other_images_are_other_features(self, problem):
        alone, both = self.products(problem, "features")
        torch.testing.assert_close(both, 2 * alone)

    def test_a_task_of_other_processes_alone_has_no_gradient_here(self, problem):
        losses = [problem.losses()[0], torch.tensor(3.0)]
        products = gradient_products(losses, [True, True], problem.shared)
        assert products[1].tolist() == [0, 0]
