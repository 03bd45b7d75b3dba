"""Priors give a density, and what a data set brings stays with that data set."""

import pytest
import torch
from torch import Tensor

from saliency.model.priors import DatasetPriors

SIZES = [(16, 24), (24, 16), (1, 1), (3, 40)]


def logits(count: int = 2, size: tuple[int, int] = (16, 24)) -> Tensor:
    return 3 * torch.randn(count, *size, generator=torch.Generator().manual_seed(0))


def index(*values: int) -> Tensor:
    return torch.tensor(values)


def entropy(log_density: Tensor) -> float:
    return -(log_density.exp() * log_density).sum().item()


@pytest.fixture
def priors() -> DatasetPriors:
    """Priors of two sets, of which the second has learned offsets."""
    priors = DatasetPriors(2)
    with torch.no_grad():
        priors.center_bias_offsets[1] = torch.linspace(-2, 2, 12)
        priors.log_temperature_offsets[1] = 0.5
        priors.log_blur_offsets[1] = 0.7
    return priors


@pytest.mark.parametrize("size", SIZES)
def test_the_density_sums_to_1(size, priors):
    sums = priors(logits(size=size), index(0, 2)).exp().sum(dim=(1, 2))
    torch.testing.assert_close(sums, torch.ones(2))


@pytest.mark.parametrize("size", SIZES)
def test_the_shape_is_that_of_the_logits(size, priors):
    assert priors(logits(size=size), index(0, 2)).shape == (2, *size)


def test_even_extreme_logits_give_finite_logarithms(priors):
    assert priors(1e4 * logits(), index(0, 2)).isfinite().all()


def test_index_0_ignores_every_offset(priors):
    assert torch.equal(priors(logits(), index(0, 0)), DatasetPriors(0)(logits(), index(0, 0)))


def test_index_i_is_the_ith_set_counted_from_1(priors):
    assert torch.equal(priors(logits(), index(1, 1)), priors(logits(), index(0, 0)))
    assert not torch.allclose(priors(logits(), index(2, 2)), priors(logits(), index(0, 0)))


def test_rows_use_their_own_index(priors):
    mixed = priors(logits(), index(2, 0))
    torch.testing.assert_close(mixed[:1], priors(logits()[:1], index(2)))
    torch.testing.assert_close(mixed[1:], priors(logits()[1:], index(0)))


def test_an_unknown_set_is_an_error_not_another_set(priors):
    with pytest.raises(IndexError):
        priors(logits(), index(0, 3))


@pytest.mark.parametrize("parameter", ["center_bias", "log_temperature", "log_blur_px"])
def test_shared_values_matter_to_the_neutral_setting(parameter, priors):
    before = priors(logits(), index(0, 0))
    with torch.no_grad():
        getattr(priors, parameter).add_(torch.linspace(0, 1, 12) if "center" in parameter else 0.5)
    assert not torch.allclose(priors(logits(), index(0, 0)), before)


def test_no_data_set_at_all_works():
    assert DatasetPriors(0)(logits(), index(0, 0)).isfinite().all()


def test_more_blur_is_flatter(priors):
    def flatness(log_blur_px: float) -> float:
        with torch.no_grad():
            priors.log_blur_px.fill_(log_blur_px)
        return entropy(priors(logits(1), index(0)))

    assert flatness(-1) < flatness(0) < flatness(1)


def test_a_higher_temperature_parameter_is_sharper(priors):
    soft = entropy(priors(logits(1), index(0)))
    with torch.no_grad():
        priors.log_temperature.fill_(1.0)
    assert entropy(priors(logits(1), index(0))) < soft


def test_each_row_is_blurred_by_its_own_width(priors):
    with torch.no_grad():
        priors.center_bias_offsets.zero_()
        priors.log_temperature_offsets.zero_()
        priors.log_blur_offsets[0] = -2.0
    same = logits(1).expand(2, -1, -1)
    sharp, soft = priors(same, index(1, 2))
    assert entropy(sharp) < entropy(soft)


def test_flat_logits_start_at_a_density_with_its_peak_in_the_centre():
    density = DatasetPriors(0)(torch.zeros(1, 17, 25), index(0))[0]
    assert divmod(int(density.argmax()), 25) == (8, 12)


def test_blur_does_not_darken_the_border():
    priors = DatasetPriors(0)
    with torch.no_grad():
        priors.center_bias.zero_()
    density = priors(torch.zeros(1, 16, 24), index(0)).exp()
    torch.testing.assert_close(density, torch.full((1, 16, 24), 1 / (16 * 24)))


def test_every_parameter_learns(priors):
    log_density = priors(logits(3), index(0, 1, 2))
    log_density[:, 4, 7].sum().backward()
    gradients = {name: p.grad for name, p in priors.named_parameters()}
    assert all(g is not None and bool((g != 0).any()) for g in gradients.values()), gradients


def test_offsets_of_a_set_do_not_learn_from_neutral_images(priors):
    priors(logits(), index(0, 0))[:, 4, 7].sum().backward()
    assert priors.center_bias_offsets.grad is not None
    assert not priors.center_bias_offsets.grad.any()
