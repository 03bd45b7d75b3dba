from collections import Counter

import pytest
import torch

from saliency.model import Architecture, SaliencyNetwork
from saliency.training.config import TrainConfig
from saliency.training.optimization import (
    build_optimizer,
    clip_gradients,
    lr_factor,
    set_learning_rates,
)
from saliency.weighting import EqualWeighting, UncertaintyWeighting

CONFIG = TrainConfig(encoder_lr=1e-4, saliency_lr=1e-3, aesthetic_lr=5e-4, weighting_lr=2e-2)


@pytest.fixture
def network():
    return SaliencyNetwork(
        Architecture("test_efficientnet", decoder_channels=8, datasets=("one", "two"))
    )


@pytest.fixture
def weighting():
    return UncertaintyWeighting(["classification", "regression"])


def lr_of(optimizer, parameter):
    (lr,) = (g["lr"] for g in optimizer.param_groups for p in g["params"] if p is parameter)
    return lr


def decay_of(optimizer, parameter):
    (decay,) = (
        g["weight_decay"] for g in optimizer.param_groups for p in g["params"] if p is parameter
    )
    return decay


def test_each_branch_has_its_learning_rate(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    assert lr_of(optimizer, network.encoder.body.conv_stem.weight) == 1e-4
    assert lr_of(optimizer, network.decoder.head.weight) == 1e-3
    assert lr_of(optimizer, network.priors.center_bias) == 1e-3
    assert lr_of(optimizer, network.aesthetics.logits.weight) == 5e-4
    assert lr_of(optimizer, weighting.log_variances) == 2e-2


def test_every_trainable_parameter_is_in_exactly_one_group(network, weighting):
    network.encoder.freeze_shallow(4)
    optimizer = build_optimizer(network, weighting, CONFIG)
    counts = Counter(id(p) for group in optimizer.param_groups for p in group["params"])
    trainable = [p for m in (network, weighting) for p in m.parameters() if p.requires_grad]
    assert counts == {id(p): 1 for p in trainable}


def test_some_parameters_are_frozen(network):
    # Or the test above would not show that frozen ones stay outside.
    assert network.encoder.freeze_shallow(4) > 0


def test_vectors_and_scalars_are_not_decayed(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    small = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    assert small
    assert {decay_of(optimizer, p) for p in [*small, weighting.log_variances]} == {0.0}


def test_filters_and_matrices_are_decayed(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    for module in (network.encoder.body.conv_stem, network.decoder.head, network.aesthetics.logits):
        assert decay_of(optimizer, module.weight) == CONFIG.weight_decay


def test_the_shared_centre_bias_is_not_pulled_to_zero_but_its_offsets_are(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    assert decay_of(optimizer, network.priors.center_bias) == 0
    assert decay_of(optimizer, network.priors.center_bias_offsets) == CONFIG.weight_decay


def test_a_branch_with_learning_rate_zero_is_not_trained(network, weighting):
    config = CONFIG.model_copy(update={"encoder_lr": 0.0})
    optimizer = build_optimizer(network, weighting, config)
    assert "encoder" not in {group["name"] for group in optimizer.param_groups}


def test_a_head_that_is_missing_has_no_group(weighting):
    network = SaliencyNetwork(
        Architecture("test_efficientnet", saliency=False, guidance=False, decoder_channels=8)
    )
    optimizer = build_optimizer(network, weighting, CONFIG)
    assert "saliency" not in {group["name"] for group in optimizer.param_groups}


def test_constant_weights_need_no_group(network):
    optimizer = build_optimizer(network, EqualWeighting(2), CONFIG)
    assert "weighting" not in {group["name"] for group in optimizer.param_groups}


def test_learning_rates_warm_up_linearly_to_their_peak():
    assert [lr_factor(step, 100, 4) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])


def test_learning_rates_fall_to_nearly_nothing():
    factors = [lr_factor(step, 100, 10) for step in range(10, 100)]
    assert factors == sorted(factors, reverse=True)
    assert factors[45] == pytest.approx(0.5)
    assert 0 < factors[-1] < 2e-3


def test_a_short_run_warms_up_for_a_fifth_at_most():
    assert lr_factor(1, total_steps=10, warmup_steps=1000) == 1


def test_a_run_of_one_step_takes_it_at_full_rate():
    assert lr_factor(0, total_steps=1, warmup_steps=100) == 1


def test_the_weightings_rate_stays_while_the_others_change(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    set_learning_rates(optimizer, 0.5)
    set_learning_rates(optimizer, 0.1)  # of the peak, not of what it was before
    assert lr_of(optimizer, network.decoder.head.weight) == pytest.approx(1e-4)
    assert lr_of(optimizer, weighting.log_variances) == 2e-2


def test_peak_rates_survive_a_saved_state(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    set_learning_rates(optimizer, 0.1)
    resumed = build_optimizer(network, weighting, CONFIG)
    resumed.load_state_dict(optimizer.state_dict())
    set_learning_rates(resumed, 1.0)
    assert lr_of(resumed, network.decoder.head.weight) == 1e-3


def test_a_step_moves_every_branch(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    before = [p.detach().clone() for g in optimizer.param_groups for p in g["params"]]
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    after = [p for g in optimizer.param_groups for p in g["params"]]
    assert not any(torch.equal(b, a) for b, a in zip(before, after, strict=True))


def test_each_branch_is_clipped_by_itself(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            large = 100.0 if group["name"] == "aesthetics" else 1e-4
            parameter.grad = torch.full_like(parameter, large)
    clip_gradients(optimizer, max_norm=2.0)
    in_head = torch.cat([p.grad.flatten() for p in network.aesthetics.parameters()])
    assert in_head.norm() == pytest.approx(2, rel=1e-3)
    assert torch.allclose(network.decoder.head.weight.grad, torch.tensor(1e-4))


def test_the_norms_before_clipping_are_returned(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    norms = clip_gradients(optimizer, max_norm=0.1)
    count = sum(p.numel() for p in network.aesthetics.parameters())
    assert norms["aesthetics"] == pytest.approx(count**0.5, rel=1e-4)
    assert set(norms) == {"encoder", "saliency", "aesthetics"}


def test_gradients_of_the_weighting_are_left_alone(network, weighting):
    optimizer = build_optimizer(network, weighting, CONFIG)
    weighting.log_variances.grad = torch.tensor([300.0, 400.0])
    clip_gradients(optimizer, max_norm=0.1)
    assert weighting.log_variances.grad.tolist() == [300, 400]
