"""Losses are 0 at the target, never below, and agree with the metrics they stand for."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from saliency.losses import (
    attenuated_loss,
    order_loss,
    saliency_loss,
    squared_emd_loss,
    vote_divergence,
)
from saliency.metrics import cc, kl_div
from saliency.types import LOWEST_LOG_VARIANCE, TOP_LOG_VARIANCE

SIZE = (12, 16)


def densities(count: int = 4, seed: int = 0, sharpness: float = 2.0) -> Tensor:
    noise = torch.randn(count, *SIZE, generator=torch.Generator().manual_seed(seed))
    return (sharpness * noise).flatten(1).softmax(dim=1).view(count, *SIZE)


def point() -> Tensor:
    density = torch.zeros(1, *SIZE)
    density[0, 3, 5] = 1
    return density


def uniform() -> Tensor:
    return torch.full((1, *SIZE), 1 / (SIZE[0] * SIZE[1]))


def votes(score: int) -> Tensor:
    """Return (1, K): all votes on `score`."""
    return torch.nn.functional.one_hot(torch.tensor([score - 1]), 10).float()


def logits(distribution: Tensor) -> Tensor:
    return (distribution + 1e-12).log()


def test_saliency_loss_is_0_at_the_target():
    target = densities()
    torch.testing.assert_close(saliency_loss(target.log(), target), torch.zeros(4))


@pytest.mark.parametrize("seed", range(5))
def test_saliency_loss_is_never_negative(seed):
    target = densities(seed=seed)
    nearly = target.log() + 1e-4 * torch.randn(4, *SIZE)
    nearly = nearly - nearly.flatten(1).logsumexp(dim=1)[:, None, None]
    assert (saliency_loss(nearly, target) >= 0).all()


def test_saliency_loss_is_that_of_the_metrics():
    prediction, target = densities(seed=1), densities(seed=2)
    expected = [
        kl_div(p, t) + 1 - cc(p, t) for p, t in zip(prediction.numpy(), target.numpy(), strict=True)
    ]
    np.testing.assert_allclose(saliency_loss(prediction.log(), target), expected, rtol=1e-5)


def test_saliency_loss_agrees_with_the_metrics_where_nobody_looked():
    prediction = densities(1)
    expected = kl_div(prediction[0].numpy(), point()[0].numpy())
    expected += 1 - cc(prediction[0].numpy(), point()[0].numpy())
    assert saliency_loss(prediction.log(), point()).item() == pytest.approx(expected, rel=1e-5)


def test_saliency_loss_does_not_shrink_with_the_number_of_pixels():
    def enlarge(x: Tensor) -> Tensor:
        return x.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2) / 64

    prediction, target = densities(seed=1), densities(seed=2)
    torch.testing.assert_close(
        saliency_loss(enlarge(prediction).log(), enlarge(target)),
        saliency_loss(prediction.log(), target),
        rtol=1e-4,
        atol=1e-4,
    )


def test_swapped_arguments_cost_differently():
    sharp, flat = densities(1, sharpness=4.0), densities(1, sharpness=0.5)
    there, back = saliency_loss(sharp.log(), flat), saliency_loss(flat.log(), sharp)
    assert abs(there.item() - back.item()) > 0.1


@pytest.mark.parametrize("target", [point(), uniform(), torch.zeros(1, *SIZE)])
@pytest.mark.parametrize("prediction", [densities(1), uniform()])
def test_gradients_of_the_saliency_loss_are_finite(prediction, target):
    """Also for a row without labels: it is masked later, and 0 times NaN would be NaN."""
    log_density = prediction.log().requires_grad_()
    saliency_loss(log_density, target).sum().backward()
    assert log_density.grad is not None
    assert log_density.grad.isfinite().all()


def test_a_flat_prediction_has_no_correlation():
    target = densities(1)
    loss = saliency_loss(uniform().log(), target).item()
    assert loss == pytest.approx(kl_div(uniform()[0].numpy(), target[0].numpy()) + 1, rel=1e-4)


def test_squared_emd_is_0_at_the_target():
    distribution = torch.rand(4, 10).softmax(dim=1)
    torch.testing.assert_close(squared_emd_loss(distribution.log(), distribution), torch.zeros(4))


@pytest.mark.parametrize("bins", range(10))
def test_a_vote_n_bins_away_costs_n_tenths(bins):
    """The cumulative sums differ by 1 in each of n of the ten bins."""
    loss = squared_emd_loss(logits(votes(1)), votes(1 + bins)).item()
    assert loss == pytest.approx(bins / 10, abs=1e-5)


def test_half_a_vote_costs_a_quarter():
    half = (votes(4) + votes(5)) / 2
    assert squared_emd_loss(logits(half), votes(5)).item() == pytest.approx(0.25 / 10, abs=1e-5)


def test_squared_emd_by_hand():
    loss = squared_emd_loss(torch.zeros(1, 10), votes(10))  # flat: cumulative .1, .2 ... .9, 1
    assert loss.item() == pytest.approx(sum((k / 10) ** 2 for k in range(1, 10)) / 10)


@pytest.mark.parametrize("loss", [squared_emd_loss, vote_divergence])
def test_losses_of_logits_in_half_are_computed_in_full(loss):
    values = torch.linspace(-3, 2, 10)[None].bfloat16()
    target = values.float().flip(1).softmax(dim=1)
    assert torch.equal(loss(values, target), loss(values.float(), target))


def test_squared_emd_does_not_mind_a_shift_of_the_logits():
    values = torch.randn(3, 10)
    distribution = torch.rand(3, 10).softmax(dim=1)
    torch.testing.assert_close(
        squared_emd_loss(values + 7, distribution), squared_emd_loss(values, distribution)
    )


def test_squared_emd_of_a_row_without_labels_has_a_finite_gradient():
    values = torch.zeros(1, 10, requires_grad=True)
    squared_emd_loss(values, torch.zeros(1, 10)).sum().backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()


@pytest.mark.parametrize("loss", ["saliency", "emd"])
def test_each_image_has_its_own_value(loss):
    if loss == "saliency":
        together = saliency_loss(densities(seed=1).log(), densities(seed=2))
        alone = [
            saliency_loss(p[None].log(), t[None])
            for p, t in zip(densities(seed=1), densities(seed=2), strict=True)
        ]
    else:
        values, targets = torch.randn(4, 10), torch.rand(4, 10).softmax(dim=1)
        together = squared_emd_loss(values, targets)
        alone = [squared_emd_loss(v[None], t[None]) for v, t in zip(values, targets, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("seed", range(20))
def test_an_attenuated_loss_is_never_negative(seed):
    random = torch.Generator().manual_seed(seed)
    losses = 10 ** (60 * torch.rand(1000, generator=random) - 40)
    span = TOP_LOG_VARIANCE - LOWEST_LOG_VARIANCE
    log_variance = LOWEST_LOG_VARIANCE + span * torch.rand(1000, generator=random)
    found = attenuated_loss(losses, log_variance)
    assert (found >= 0).all()
    assert found.isfinite().all()


@pytest.mark.parametrize("loss", [0.0, 1e-30, 1.0, 1e30])
@pytest.mark.parametrize("log_variance", [LOWEST_LOG_VARIANCE, 0.0, TOP_LOG_VARIANCE])
def test_so_it_is_at_the_ends(loss, log_variance):
    found = attenuated_loss(torch.tensor([loss]), torch.tensor([log_variance]))
    assert found >= 0
    assert found.isfinite()


@pytest.mark.parametrize("loss", [0.001, 0.3, 20.0])
def test_an_attenuated_loss_is_smallest_at_the_logarithm_of_the_loss(loss):
    log_variance = torch.linspace(LOWEST_LOG_VARIANCE, TOP_LOG_VARIANCE, 12001)
    found = attenuated_loss(torch.full_like(log_variance, loss), log_variance)
    assert float(log_variance[found.argmin()]) == pytest.approx(math.log(loss), abs=0.02)
    assert float(found.min()) == pytest.approx(
        (1 + math.log(loss) - LOWEST_LOG_VARIANCE) / 2, abs=1e-4
    )


def test_where_a_larger_error_is_stated_a_loss_counts_for_less():
    losses = torch.tensor([0.5, 0.5], requires_grad=True)
    attenuated_loss(losses, torch.tensor([-1.0, 2.0])).sum().backward()
    assert losses.grad.tolist() == pytest.approx([math.exp(1) / 2, math.exp(-2) / 2])


def order(scores: list[float], kinds: list[int], margins: list[float], photos=None) -> list[float]:
    """Return the order losses, in squared points."""
    photo = torch.tensor(photos or [0] * len(scores))
    loss = order_loss(torch.tensor(scores), photo, torch.tensor(kinds), torch.tensor(margins))
    return (81 * loss).tolist()


def test_a_copy_that_keeps_its_margin_costs_nothing():
    assert order([6, 4.9], [-1, 0], [0, 1]) == [0, 0]


def test_what_is_missing_of_the_margin_is_squared():
    assert order([6, 5.5], [-1, 0], [0, 1]) == pytest.approx([0, 0.25])


def test_a_copy_that_nobody_can_tell_from_the_photo_should_score_the_same():
    assert order([6, 5.5], [-1, 0], [0, 0]) == pytest.approx([0, 0.25])
    assert order([6, 6.5], [-1, 0], [0, 0]) == pytest.approx([0, 0.25])


def test_copies_of_a_kind_are_compared_with_each_other():
    # The worse copy should be 2 below the photo (it is) and 1 below the other (it is .5).
    assert order([6, 4.5, 4], [-1, 0, 0], [0, 1, 2]) == pytest.approx([0, 0, 0.25 / 2])


def test_kinds_are_not_compared_with_each_other():
    assert order([6, 3, 4.9], [-1, 0, 1], [0, 1, 1.1]) == pytest.approx([0, 0, 0])


def test_photos_are_not_compared_with_each_other():
    assert order([3, 2, 6, 5], [-1, 0, -1, 0], [0, 1, 0, 1], [0, 0, 1, 1]) == [0] * 4


def test_scores_move_the_photo_up_and_the_copy_down():
    scores = torch.tensor([5.0, 5.0], requires_grad=True)
    order_loss(
        scores, torch.zeros(2), torch.tensor([-1, 0]), torch.tensor([0.0, 1.0])
    ).sum().backward()
    assert scores.grad[0] < 0 < scores.grad[1]
