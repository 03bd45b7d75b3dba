import json

import pytest
import torch

from saliency.model.encoders import build_encoder
from saliency.model.sharing import HardSharing, Multilinear
from saliency.model.sharing.multilinear import EPSILON
from saliency.model.sharing.tensor_normal import flip_flop


@pytest.fixture
def sharing(encoder):
    torch.manual_seed(2)
    return Multilinear(encoder, 3, update_every=5)


def set_layers(sharing, layers):
    with torch.no_grad():
        sharing.layers.copy_(layers)


def test_with_layers_of_zero_it_is_hard_sharing(encoder, images, sharing):
    set_layers(sharing, torch.zeros_like(sharing.layers))
    hard = HardSharing(3).eval()(encoder, images).by_task
    for own, expected in zip(sharing.eval()(encoder, images).by_task, hard, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(own, expected, strict=True))


def test_it_starts_near_hard_sharing_but_not_at_it(encoder, images, sharing):
    deepest = encoder(images)[-1]
    for own in sharing.eval()(encoder, images).by_task:
        distance = (own[-1] - deepest).norm() / deepest.norm()
        assert 1e-5 < distance < 1e-2


def test_only_the_deepest_features_differ_between_tasks(encoder, images, sharing):
    one, other, _ = sharing.eval()(encoder, images).by_task
    assert all(torch.equal(a, b) for a, b in zip(one[:-1], other[:-1], strict=True))
    assert not torch.equal(one[-1], other[-1])


def test_each_task_has_the_layer_that_the_formula_says(encoder, images, sharing):
    set_layers(sharing, torch.randn_like(sharing.layers))
    deepest = encoder(images)[-1]
    width = len(sharing.layers)
    for task, own in enumerate(sharing.eval()(encoder, images).by_task):
        basis = sharing.basis
        layer = torch.eye(len(basis)) + basis @ (sharing.layers[..., task] / width) @ basis.T
        assert torch.allclose(own[-1], torch.einsum("ij,bjhw->bihw", layer, deepest), atol=1e-4)


def test_wide_features_are_seen_in_128_orthonormal_directions(sharing, encoder):
    assert encoder.channels[-1] > 128
    assert sharing.basis.shape == (encoder.channels[-1], 128)
    assert torch.allclose(sharing.basis.T @ sharing.basis, torch.eye(128), atol=1e-5)


def test_narrow_features_are_seen_as_they_are():
    encoder = build_encoder("test_efficientnet").eval()
    sharing = Multilinear(encoder, 2, update_every=5)
    assert torch.equal(sharing.basis, torch.eye(encoder.channels[-1]))


def test_the_basis_and_the_covariances_are_kept_but_not_trained(sharing):
    assert [name for name, _ in sharing.named_parameters()] == ["layers"]
    assert set(sharing.state_dict()) == {
        "layers",
        "basis",
        "output_covariance",
        "input_covariance",
        "task_covariance",
    }


def test_the_layers_alone_learn_at_the_rate_of_what_mixes(sharing, encoder):
    assert sharing.mixing_parameters() == [sharing.layers]
    assert not any(p is sharing.layers for p in sharing.encoder_parameters(encoder))


def test_a_task_trains_its_own_layer_and_the_encoder(encoder, images, sharing):
    sharing.train()(encoder.train(), images).by_task[1][-1].square().sum().backward()
    assert encoder.body.conv_stem.weight.grad.any()
    assert sharing.layers.grad[..., 1].any()
    assert not sharing.layers.grad[..., [0, 2]].any()


def test_tasks_meet_before_their_layers(encoder, images, sharing):
    features = sharing.train()(encoder.train(), images)
    (measured,) = features.measured[-1]
    gradients = [
        torch.autograd.grad(own[-1].sum(), measured, retain_graph=True)[0]
        for own in features.by_task
    ]
    assert not torch.equal(gradients[0], gradients[1])
    (shallow,) = torch.autograd.grad(
        features.by_task[0][-1].sum(), features.measured[0], allow_unused=True
    )
    assert shallow is None


def test_before_the_first_update_the_penalty_is_weight_decay(sharing, encoder):
    expected = sharing.layers.square().sum() / 2
    assert torch.allclose(sharing.penalty(encoder, ()), expected)


def test_the_penalty_trains_the_layers_alone(sharing, encoder):
    sharing.penalty(encoder, ()).backward()
    assert sharing.layers.grad.any()
    assert all(p.grad is None for p in encoder.parameters())


def test_covariances_are_updated_every_few_steps(sharing):
    before = [c.clone() for c in sharing.covariances()]
    expected = flip_flop(sharing.layers.detach(), before, EPSILON)
    for step in range(4):
        sharing.after_step(step)
    assert all(torch.equal(a, b) for a, b in zip(sharing.covariances(), before, strict=True))
    sharing.after_step(4)
    assert all(torch.equal(a, b) for a, b in zip(sharing.covariances(), expected, strict=True))
    assert not torch.equal(sharing.task_covariance, before[2])


def test_a_weight_costs_less_in_a_task_where_weights_like_it_are_large_in_another(encoder):
    sharing = Multilinear(encoder, 2, update_every=1)
    common = torch.randn(128, 128)
    set_layers(sharing, torch.stack([common, common], dim=2))
    sharing.after_step(0)
    together = sharing.penalty(encoder, ())
    set_layers(sharing, torch.stack([common, -common], dim=2))
    assert sharing.penalty(encoder, ()) > 10 * together


def test_it_tells_which_tasks_are_alike(sharing):
    layers = torch.randn_like(sharing.layers)
    layers[..., 2] = -layers[..., 0]
    set_layers(sharing, layers)
    sharing.after_step(4)
    described = json.loads(json.dumps(sharing.describe()))
    correlation = torch.tensor(described["task_correlation"])
    assert correlation.diagonal().tolist() == pytest.approx([1, 1, 1])
    assert correlation[0, 2] < -0.9
    assert abs(correlation[0, 1]) < 0.1


def test_layers_of_zero_keep_everything_finite(sharing, encoder):
    set_layers(sharing, torch.zeros_like(sharing.layers))
    sharing.after_step(4)
    assert sharing.penalty(encoder, ()) == 0
    assert sharing.describe()["task_correlation"][0] == [1, 0, 0]


def test_a_lone_task_is_fine(encoder, images):
    sharing = Multilinear(encoder, 1, update_every=1)
    for step in range(20):
        sharing.after_step(step)
    assert sharing.describe() == {"task_correlation": [[1.0]]}
    assert sharing.penalty(encoder, ()).isfinite()
