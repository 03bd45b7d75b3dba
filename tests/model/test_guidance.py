"""FiLM and the gate change nothing until they have learned to."""

import torch

from saliency.model.guidance import FiLM, SpatialGate


def features() -> torch.Tensor:
    return torch.randn(2, 8, 3, 5, generator=torch.Generator().manual_seed(0))


def test_it_starts_as_the_identity():
    x = features()
    assert torch.equal(FiLM(4, 8)(x, torch.randn(2, 4)), x)


def test_the_identity_still_lets_its_weights_learn():
    film = FiLM(4, 8)
    film(features(), torch.ones(2, 4)).square().sum().backward()
    assert film.modulation.weight.grad is not None
    assert bool(film.modulation.weight.grad.abs().sum() > 0)


def test_the_first_half_scales_and_the_second_shifts():
    film = FiLM(4, 8)
    torch.nn.init.constant_(film.modulation.bias[:8].detach(), 1.0)  # gamma
    torch.nn.init.constant_(film.modulation.bias[8:].detach(), 3.0)  # beta
    x = features()
    torch.testing.assert_close(film(x, torch.zeros(2, 4)), 2 * x + 3)


def test_each_row_is_modulated_by_its_own_embedding():
    film = FiLM(1, 8)
    torch.nn.init.constant_(film.modulation.weight[8:].detach(), 1.0)
    x = features()
    modulated = film(x, torch.tensor([[0.0], [5.0]]))
    torch.testing.assert_close(modulated - x, torch.tensor([0.0, 5.0])[:, None, None, None] + 0 * x)


def test_a_gate_starts_as_the_identity():
    x = features()
    assert torch.equal(SpatialGate(3)(x, torch.rand(2, 3, 3, 5)), x)


def test_a_gate_scales_all_channels_of_a_place_alike():
    gate = SpatialGate(1)
    torch.nn.init.constant_(gate.mix.weight.detach(), 1.0)
    maps = torch.zeros(2, 1, 3, 5)
    maps[:, :, 1, 2] = 100.0  # tanh is 1 there and 0 elsewhere
    expected = torch.ones(3, 5)
    expected[1, 2] = 2.0
    x = features()
    torch.testing.assert_close(gate(x, maps), x * expected)
