"""Uncertainty weighting finds its optimum, stays bounded, and lets absent tasks rest."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from saliency.weighting import UncertaintyWeighting

BOTH = [True, True]
OPTIMA = [log(2 * 1.5), log(0.02)]  # classification: log 2L, regression: log L


def build() -> UncertaintyWeighting:
    return UncertaintyWeighting(["classification", "regression"])


def losses(first: float = 1.5, second: float = 0.02) -> list[Tensor]:
    return [torch.tensor(first, requires_grad=True), torch.tensor(second, requires_grad=True)]


def values(weighting: UncertaintyWeighting) -> list[float]:
    return weighting.log_variances.tolist()


def learn(weighting: UncertaintyWeighting, steps: int, lr: float, present: list[bool]) -> None:
    optimizer = torch.optim.Adam(weighting.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        weighting(losses(), present).backward()
        optimizer.step()


def set_values(weighting: UncertaintyWeighting, *wanted: float) -> None:
    """Set the log-variances as if they had started already."""
    with torch.no_grad():
        weighting.log_variances.copy_(torch.tensor(wanted))
        weighting.started.fill_(True)


def test_the_total_is_the_negative_log_likelihood():
    weighting = build()
    set_values(weighting, 0.3, -0.7)
    expected = exp(-0.3) * 1.5 + 0.3 / 2 + exp(0.7) * 0.02 / 2 - 0.7 / 2
    assert weighting(losses(), BOTH).item() == pytest.approx(expected)


def test_it_starts_at_its_optimum():
    weighting = build()
    weighting(losses(), BOTH)
    assert values(weighting) == pytest.approx(OPTIMA)


def test_at_its_start_there_is_nothing_to_learn():
    weighting = build()
    weighting(losses(), BOTH).backward()
    assert weighting.log_variances.grad is not None
    assert weighting.log_variances.grad.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_only_the_first_loss_sets_the_start():
    weighting = build()
    weighting(losses(), BOTH)
    weighting(losses(100.0, 100.0), BOTH)
    assert values(weighting) == pytest.approx(OPTIMA)


def test_a_task_starts_when_it_first_shows():
    weighting = build()
    weighting(losses(), [True, False])
    assert weighting.started.tolist() == [True, False]
    weighting(losses(), BOTH)
    assert values(weighting) == pytest.approx(OPTIMA)


@pytest.mark.parametrize("start", [(2.0, -1.0), (0.0, 0.0), (0.0, -5.0)])
def test_it_converges_to_its_optimum_from_elsewhere(start):
    weighting = build()
    set_values(weighting, *start)
    learn(weighting, steps=400, lr=0.05, present=BOTH)
    assert values(weighting) == pytest.approx(OPTIMA, abs=0.05)


def test_a_loss_gets_its_current_weight_as_gradient():
    weighting, both = build(), losses()
    weighting(both, BOTH).backward()
    assert [float(loss.grad) for loss in both] == pytest.approx(weighting.current.tolist())


def test_current_weights_at_the_start_make_all_terms_one_half():
    weighting = build()
    weighting(losses(), BOTH)
    assert weighting.current.tolist() == pytest.approx([0.5 / 1.5, 0.5 / 0.02])


def test_current_weights_carry_no_graph():
    weighting = build()
    weighting(losses(), BOTH)
    assert not weighting.current.requires_grad


def test_an_absent_task_adds_neither_its_loss_nor_its_log_variance():
    weighting = build()
    set_values(weighting, 0.3, -0.7)
    total = weighting(losses(), [True, False]).item()
    assert total == pytest.approx(exp(-0.3) * 1.5 + 0.3 / 2)


def test_an_absent_task_gets_no_gradient():
    weighting, both = build(), losses()
    weighting(both, [True, False]).backward()
    assert both[1].grad is None
    assert weighting.log_variances.grad is not None
    assert weighting.log_variances.grad[1] == 0


def test_a_task_absent_for_long_keeps_its_log_variance():
    weighting = build()
    set_values(weighting, 0.0, -2.5)
    learn(weighting, steps=50, lr=0.1, present=[True, False])
    assert values(weighting)[1] == -2.5


def test_an_absent_task_may_even_be_nan():
    weighting = build()
    assert torch.isfinite(weighting([torch.tensor(1.0), torch.tensor(float("nan"))], [True, False]))


def test_no_task_at_all_is_0():
    assert build()(losses(), [False, False]).item() == 0


def test_a_first_loss_of_0_starts_at_the_lower_bound():
    weighting = build()
    assert weighting(losses(0.0, 0.0), BOTH).isfinite()
    assert values(weighting) == [-10, -10]


@pytest.mark.parametrize(("beyond", "bound"), [(-50.0, -10.0), (50.0, 5.0)])
def test_log_variances_are_held_within_their_bounds(beyond, bound):
    weighting = build()
    set_values(weighting, beyond, beyond)
    weighting(losses(), BOTH)
    assert values(weighting) == [bound, bound]


@pytest.mark.parametrize("beyond", [-50.0, 50.0])
def test_it_comes_back_from_beyond_its_bounds(beyond):
    weighting = build()
    set_values(weighting, beyond, beyond)
    learn(weighting, steps=100, lr=0.1, present=BOTH)
    assert all(-9 < value < 4 for value in values(weighting))


def test_two_steps_may_share_one_backward_pass():
    """Gradient accumulation: what a call changes in place must not spoil the graph before it."""
    weighting = build()
    set_values(weighting, 50.0, -50.0)
    (weighting(losses(), BOTH) + weighting(losses(), BOTH)).backward()
    assert weighting.log_variances.grad is not None
    assert weighting.log_variances.grad.isfinite().all()


def test_a_resumed_weighting_does_not_start_again():
    weighting, resumed = build(), build()
    set_values(weighting, 0.3, -0.7)
    resumed.load_state_dict(weighting.state_dict())
    resumed(losses(), BOTH)
    assert values(resumed) == pytest.approx([0.3, -0.7])


def test_a_task_that_had_not_started_starts_after_resuming():
    weighting, resumed = build(), build()
    weighting(losses(), [True, False])
    resumed.load_state_dict(weighting.state_dict())
    resumed(losses(), BOTH)
    assert values(resumed) == pytest.approx(OPTIMA)


def test_three_tasks_are_as_welcome_as_two():
    weighting = UncertaintyWeighting(["classification", "regression", "regression"])
    weighting([*losses(), torch.tensor(4.0)], [True] * 3)
    assert values(weighting) == pytest.approx([*OPTIMA, log(4)])


def test_a_task_too_few_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        build()(losses()[:1], [True])


def test_momentum_does_not_move_the_log_variance_of_an_absent_task():
    weighting = UncertaintyWeighting(["classification", "regression"])
    optimizer = torch.optim.AdamW(weighting.parameters(), lr=2e-2, weight_decay=0)

    def step(first, second, present):
        total = weighting([torch.tensor(first), torch.tensor(second)], present)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        weighting.after_step()
        return weighting.log_variances.tolist()

    step(1.0, 0.1, [True, True])  # each starts at its optimum, and then has to move
    for _ in range(10):
        before = step(2.0, 0.01, [True, True])
    for _ in range(30):
        after = step(2.0, 0.0, [True, False])
    assert after[1] == before[1]
    assert after[0] > before[0]
    assert step(2.0, 0.01, [True, True])[1] < before[1]


def test_calls_that_share_a_step_move_all_their_tasks():
    weighting = UncertaintyWeighting(["classification", "regression"])
    optimizer = torch.optim.AdamW(weighting.parameters(), lr=2e-2, weight_decay=0)
    losses = [torch.tensor(1.0), torch.tensor(0.1)]
    weighting(losses, [True, True])
    before = weighting.log_variances.tolist()
    doubled = [2 * loss for loss in losses]
    total = weighting(doubled, [True, False]) + weighting(doubled, [False, True])
    total.backward()
    optimizer.step()
    weighting.after_step()
    assert all(a != b for a, b in zip(before, weighting.log_variances.tolist(), strict=True))


class TestOfAnswers:
    """The noise is that of people's single answers: the loss plus its floor."""

    def build(self, floors=(7.0, 0.12), counts=(1, 1)) -> UncertaintyWeighting:
        weighting = UncertaintyWeighting(["classification", "regression"], of_answers=True)
        weighting.hear_answers(floors, counts)
        return weighting

    def test_it_starts_at_the_optimum_for_loss_and_floor(self):
        weighting = self.build()
        weighting(losses(), BOTH)
        assert values(weighting) == pytest.approx([log(2 * 8.5), log(0.14)])

    def test_a_task_learned_by_heart_keeps_a_bounded_weight(self):
        weighting = self.build()
        weighting(losses(0.0, 0.0), BOTH)
        assert weighting.current.tolist() == pytest.approx([1 / 14, 1 / 0.24])

    def test_a_losses_gradient_is_its_weight_alone(self):
        weighting, both = self.build(), losses()
        weighting(both, BOTH).backward()
        assert [float(loss.grad) for loss in both] == pytest.approx(weighting.current.tolist())

    def test_each_batch_has_its_own_floor(self):
        weighting = self.build()
        first = weighting(losses(), BOTH).item()
        weighting.hear_answers((8.0, 0.12), (1, 1))
        assert weighting(losses(), BOTH).item() == pytest.approx(first + 1 / 17)

    def test_a_task_counts_as_often_as_it_has_labelled_photos(self):
        once, often = self.build(), self.build(counts=(6, 2))
        totals = [weighting(losses(), BOTH).item() for weighting in (once, often)]
        # Six and two photos, four on average; each s is at its optimum log 2L, or log L.
        terms = [1 / 2 + log(2 * 8.5) / 2, 1 / 2 + log(0.14) / 2]
        assert totals == pytest.approx([sum(terms), 1.5 * terms[0] + 0.5 * terms[1]])
        ratios = [float(a / b) for a, b in zip(often.current, once.current, strict=True)]
        assert ratios == pytest.approx([1.5, 0.5])
        assert values(often) == pytest.approx(values(once))

    def test_a_batch_of_one_task_counts_it_fully(self):
        weighting = self.build(counts=(6, 0))
        weighting(losses(), (True, False))
        assert float(weighting.current[0]) == pytest.approx(1 / 17)

    def test_without_it_answers_are_not_asked_for(self):
        assert self.build().needs_answers
        assert not build().needs_answers
