"""Weights learn towards equal gradients, help laggards, and sum to K."""

import pytest
import torch

from saliency.weighting import GradNormWeighting

BOTH = (True, True)


def build(alpha=0.0, count=2):
    return GradNormWeighting(count, "last_layer", alpha, batches=1)


def linear(slopes, offsets=None):
    """Return losses with these gradient norms at x = 1, where they are slope + offset."""
    x = torch.ones(1, requires_grad=True)
    offsets = offsets or [0.0] * len(slopes)
    return [slope * x.sum() + o for slope, o in zip(slopes, offsets, strict=True)], [x]


class Learning:
    def __init__(self, weighting, lr=0.02):
        self.weighting = weighting
        self.optimizer = torch.optim.AdamW(weighting.parameters(), lr=lr, weight_decay=0)

    def step(self, losses, shared, present=BOTH):
        self.optimizer.zero_grad()
        self.weighting(losses, present, shared).backward()
        self.optimizer.step()

    def many(self, count, *problem, present=BOTH):
        for _ in range(count):
            self.step(*linear(*problem), present=present)
        losses, shared = linear(*problem)
        self.weighting(losses, present, shared)
        return self.weighting.current.tolist()


def test_the_objective_is_the_distance_to_the_mean_norm():
    losses, shared = linear([4.0, 1.0])
    weighting = build()
    total = weighting(losses, BOTH, shared).item()
    assert total == pytest.approx((4 + 1) + abs(4 - 2.5) + abs(1 - 2.5))


def test_its_gradient_is_the_norm_with_the_sign_of_the_distance():
    losses, shared = linear([4.0, 1.0])
    weighting = build()
    weighting(losses, BOTH, shared).backward()
    assert weighting.weights.grad.tolist() == [4, -1]


def test_laggards_have_a_higher_target():
    weighting = build(alpha=1.0)
    losses, shared = linear([1.0, 1.0], [7.0, 7.0])  # both start at 8
    weighting(losses, BOTH, shared)
    losses, shared = linear([1.0, 1.0], [1.0, 5.0])  # now 2 and 6: ratios 1/4 and 3/4
    total = weighting(losses, BOTH, shared)
    total.backward()
    # mean norm 1, rates .5 and 1.5: targets .5 and 1.5
    assert total.item() == pytest.approx((2 + 6) + 0.5 + 0.5)
    assert weighting.weights.grad.tolist() == [1, -1]


def test_weights_end_where_gradient_norms_are_equal():
    found = Learning(build()).many(300, [4.0, 1.0])
    assert found == pytest.approx([0.4, 1.6], abs=0.05)  # 4 * .4 = 1 * 1.6


def test_a_larger_alpha_spreads_the_weights():
    spreads = []
    for alpha in (0.0, 0.5, 1.0):
        learning = Learning(build(alpha))
        learning.many(1, [1.0, 1.0], [7.0, 7.0])
        first, second = learning.many(300, [1.0, 1.0], [1.0, 5.0])
        spreads.append(second - first)
    assert spreads == sorted(spreads)
    assert spreads[0] == pytest.approx(0, abs=0.1)
    assert spreads[2] > spreads[1] + 0.1 > spreads[0] + 0.2


def test_weights_sum_to_the_number_of_tasks():
    learning = Learning(build(count=3), lr=0.1)
    for slopes in ([9.0, 1.0, 2.0], [1.0, 5.0, 2.0], [3.0, 3.0, 1.0]) * 20:
        learning.step(*linear(slopes), present=[True] * 3)
        assert learning.weighting.current.sum().item() == pytest.approx(3, rel=1e-5)


def test_a_weight_stays_positive():
    found = Learning(build(), lr=0.5).many(50, [1e6, 1.0])
    assert min(found) > 0


def test_only_the_objective_trains_the_weights():
    losses, shared = linear([1.0, 1.0])
    weighting = build()
    weighting(losses, BOTH, shared).backward()
    assert weighting.weights.grad.tolist() == [0, 0]  # else the losses, 1 and 1


def test_the_objective_trains_nothing_but_the_weights():
    losses, shared = linear([4.0, 1.0])
    build()(losses, BOTH, shared).backward()
    assert shared[0].grad.item() == 5  # 1 * 4 + 1 * 1


def test_the_momentum_of_the_optimiser_does_not_move_an_absent_task():
    learning = Learning(build())
    for _ in range(20):
        learning.step(*linear([4.0, 1.0]))
    learning.step(*linear([4.0, 1.0]), present=(True, False))
    before = learning.weighting.current.tolist()
    assert learning.many(20, [4.0, 1.0], present=(True, False)) == pytest.approx(before)


def test_present_tasks_share_what_they_had():
    learning = Learning(build(count=3))
    found = learning.many(20, [4.0, 1.0, 1.0], present=(True, True, False))
    assert found[2] == 1
    assert sum(found[:2]) == pytest.approx(2)
    assert found[0] < 0.9


def test_a_task_of_any_batch_of_a_step_takes_part_in_it():
    """Gradient accumulation: the last call before the step has one task alone."""
    learning = Learning(build())
    learning.optimizer.zero_grad()
    for present in (BOTH, (True, False)):
        losses, shared = linear([4.0, 1.0])
        learning.weighting(losses, present, shared).backward()
    learning.optimizer.step()
    losses, shared = linear([4.0, 1.0])
    learning.weighting(losses, BOTH, shared)
    assert learning.weighting.current[1] > 1


def test_it_can_be_resumed_between_a_step_and_its_rescaling():
    learning = Learning(build())
    learning.many(5, [4.0, 1.0])
    learning.step(*linear([4.0, 1.0]))
    resumed = build()
    resumed.load_state_dict(learning.weighting.state_dict())
    losses, shared = linear([4.0, 1.0])
    resumed(losses, BOTH, shared)
    learning.weighting(losses, BOTH, shared)
    assert torch.equal(resumed.current, learning.weighting.current)
