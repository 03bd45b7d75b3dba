import pytest
import torch

from saliency.model import Architecture, SaliencyNetwork
from saliency.model.sharing import JointFeature, JointFeatureOptions
from saliency.model.sharing.joint_feature import l21


def test_the_norm_by_hand():
    assert l21(torch.tensor([[3.0, 0.0], [4.0, 2.0]])) == pytest.approx(7.0)


def test_sharing_a_channel_is_cheaper_than_using_two():
    shared = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    apart = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert l21(shared) < l21(apart)


def test_a_channel_that_nobody_reads_has_a_finite_gradient():
    weights = torch.zeros(2, 3, requires_grad=True)
    l21(weights).backward()
    assert torch.equal(weights.grad, torch.zeros(2, 3))


def test_features_are_those_of_hard_sharing(encoder, images):
    found = JointFeature(2).eval()(encoder, images).by_task
    assert all(torch.equal(a, b) for a, b in zip(found[1], encoder(images), strict=True))


def test_every_heads_weights_are_counted():
    network = SaliencyNetwork(
        Architecture("test_efficientnet", decoder_channels=16, sharing=JointFeatureOptions())
    )
    before = network.penalty()
    for weight in (network.decoder.stages[0].project.weight, network.aesthetics.logits.weight):
        with torch.no_grad():
            weight += 1.0
        assert network.penalty() > before
        before = network.penalty()
    network.penalty().backward()
    assert network.aesthetics.logits.weight.grad.any()
    assert network.decoder.stages[-1].project.weight.grad.any()
