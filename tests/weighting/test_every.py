"""Properties of all strategies."""

import copy
from itertools import combinations

import pytest
import torch

from saliency.weighting import (
    DtpWeighting,
    DwaWeighting,
    EqualWeighting,
    FixedWeighting,
    GradientWeighting,
    GradNormWeighting,
    InitialWeighting,
    LbtwWeighting,
    MgdaWeighting,
    PriorWeighting,
    RealtimeWeighting,
    SoftOptimalUncertaintyWeighting,
    UncertaintyWeighting,
)

STRATEGIES = {
    "fixed": lambda: FixedWeighting([1.0, 4.0]),
    "equal": lambda: EqualWeighting(2),
    "initial": lambda: InitialWeighting(2, batches=2),
    "prior": lambda: PriorWeighting(2),
    "realtime": lambda: RealtimeWeighting(2),
    "gradient": lambda: GradientWeighting(2, "features"),
    "uncertainty": lambda: UncertaintyWeighting(["classification", "regression"]),
    "gradnorm": lambda: GradNormWeighting(2, "last_layer", alpha=1.5, batches=2),
    "dwa": lambda: DwaWeighting(2, temperature=2.0),
    "mgda": lambda: MgdaWeighting(2, "features", "none"),
    "dtp": lambda: DtpWeighting([1.0, 2.0], smoothing=0.5),
    "lbtw": lambda: LbtwWeighting(2, alpha=0.5),
    "uwso": lambda: SoftOptimalUncertaintyWeighting(2, temperature=2.0),
}

every = pytest.mark.parametrize("name", STRATEGIES)


class Run:
    """A strategy at work on the two quadratics, with an optimiser for each of both."""

    def __init__(self, name, problem):
        self.problem = problem
        self.weighting = STRATEGIES[name]()
        self.weighting.start(lambda: [40.0, 2.0])
        learned = list(self.weighting.parameters())
        self.optimizer = torch.optim.AdamW(learned, lr=0.05, weight_decay=0) if learned else None

    def total(self, present=(True, True)):
        return self.weighting(self.problem.losses(), present, self.problem.shared)

    def step(self, present=(True, True)):
        total = self.total(present)
        self.problem.x.grad = None
        if self.optimizer is not None:
            self.optimizer.zero_grad()
        total.backward()
        if self.optimizer is not None:
            self.optimizer.step()
        with torch.no_grad():
            self.problem.x -= 0.01 * self.problem.x.grad
        return total.detach()

    def epoch(self, steps=3, means=(20.0, 0.3), indicators=(0.3, 0.6)):
        for _ in range(steps):
            self.step()
        self.weighting.end_epoch(means)
        self.weighting.observe(indicators)


@pytest.fixture
def run(problem, name):
    return Run(name, problem)


@pytest.fixture
def used(run):
    """A run in its fourth epoch."""
    for means in ((25.0, 0.2), (20.0, 0.3), (10.0, 0.5)):
        run.epoch(means=means)
    run.step()
    return run


@every
def test_each_loss_gets_its_current_weight_as_gradient(used):
    x = used.problem.x
    gradients = [torch.autograd.grad(loss, x)[0] for loss in used.problem.losses()]
    (found,) = torch.autograd.grad(used.total(), x)
    expected = sum(w * g for w, g in zip(used.weighting.current, gradients, strict=True))
    torch.testing.assert_close(found, expected)


@every
def test_weights_are_positive(used):
    assert (used.weighting.current > 0).all()


@every
def test_weights_carry_no_graph(used):
    assert not used.weighting.current.requires_grad


@every
def test_an_absent_tasks_loss_may_be_nan_without_a_graph(used):
    losses = [used.problem.losses()[0], torch.tensor(float("nan"))]
    total = used.weighting(losses, [True, False], used.problem.shared)
    total.backward()
    assert total.isfinite()
    assert used.problem.x.grad.isfinite().all()


@every
def test_an_absent_task_keeps_its_weight(used):
    used.total()
    before = used.weighting.current[1].item()
    used.total([True, False])
    used.total([True, False])
    assert used.weighting.current[1].item() == before


@every
def test_what_an_absent_task_left_does_not_change_the_others_weight(used):
    other = copy.deepcopy(used)
    with torch.no_grad():
        other.problem.centers[1] += 100
    for run in (used, other):
        run.total([True, False])
    assert torch.equal(used.weighting.current, other.weighting.current)


@every
def test_no_task_at_all_is_0_and_changes_nothing(used):
    used.total()
    before = copy.deepcopy(used.weighting.state_dict())
    assert used.total([False, False]).item() == 0
    after = used.weighting.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@every
def test_one_task_alone_may_come_first(run):
    run.step([False, True])
    assert run.step([True, True]).isfinite()


@every
def test_a_resumed_strategy_goes_on_as_if_nothing_had_happened(used, name):
    other = Run(name, copy.deepcopy(used.problem))
    other.weighting = STRATEGIES[name]()  # `start` is not called again
    other.weighting.load_state_dict(copy.deepcopy(used.weighting.state_dict()))
    for present in ((True, False), (True, True), (False, True)):
        assert torch.equal(used.total(present), other.total(present))
        assert torch.equal(used.weighting.current, other.weighting.current)
        used.weighting.end_epoch([15.0, 0.1])
        other.weighting.end_epoch([15.0, 0.1])


@every
def test_a_perfect_task_leaves_everything_finite(used):
    with torch.no_grad():
        used.problem.x.copy_(used.problem.centers[0])
    assert used.step().isfinite()
    assert used.problem.x.isfinite().all()


@every
def test_weights_of_half_precision_losses_are_single(used):
    losses = [loss.bfloat16() for loss in used.problem.losses()]
    total = used.weighting(losses, [True, True], used.problem.shared)
    assert used.weighting.current.dtype == total.dtype == torch.float32
    assert total.isfinite()


@every
def test_two_batches_may_share_one_step(used):
    """Gradient accumulation: a later call must not spoil the graph of an earlier one."""
    first, second = used.total(), used.total([True, False])
    (first + second).backward()
    assert used.problem.x.grad.isfinite().all()


@pytest.mark.parametrize(("one", "other"), list(combinations(STRATEGIES, 2)))
def test_no_two_strategies_are_the_same(quadratics, one, other):
    weights = []
    for name in (one, other):
        run = Run(name, quadratics())
        for means in ((25.0, 0.2), (20.0, 0.3), (10.0, 0.5)):
            run.epoch(means=means)
        run.step()
        run.step()
        weights.append(run.weighting.normalized)
    assert not torch.allclose(*weights, rtol=1e-3)


def test_the_state_of_uncertainty_has_the_keys_of_version_0_1():
    assert set(STRATEGIES["uncertainty"]().state_dict()) == {"log_variances", "started"}
