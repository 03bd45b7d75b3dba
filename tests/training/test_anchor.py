import pytest
import torch

from saliency.model import Architecture, SaliencyNetwork
from saliency.training.anchor import FeatureAnchor

IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16))


def drift(network, anchor):
    return anchor.loss(IMAGES, network(IMAGES).aesthetic_features)


def test_nothing_has_drifted_at_the_start(network):
    assert drift(network.eval(), FeatureAnchor(network)).item() == pytest.approx(0, abs=1e-9)


def test_an_encoder_that_moves_is_pulled_back(network):
    anchor = FeatureAnchor(network)
    with torch.no_grad():
        for parameter in network.encoder.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    before = drift(network, anchor)
    before.backward()
    with torch.no_grad():
        for parameter in network.encoder.parameters():
            if parameter.grad is not None:
                parameter -= 1e-4 * parameter.grad / parameter.grad.norm().clamp(min=1e-9)
    assert 0 < drift(network, anchor) < before


def test_the_whole_gradient_reaches_the_encoder_whatever_the_scores_get():
    torch.manual_seed(0)
    architecture = Architecture("test_efficientnet", decoder_channels=16, aesthetic_gradient=0.0)
    network = SaliencyNetwork(architecture)
    anchor = FeatureAnchor(network)
    with torch.no_grad():
        for parameter in network.encoder.parameters():
            parameter *= 1.1
    drift(network, anchor).backward()
    assert any(p.grad is not None and p.grad.any() for p in network.encoder.parameters())


def test_a_network_without_scores_has_nothing_to_hold():
    looking = SaliencyNetwork(
        Architecture("test_efficientnet", aesthetics=False, guidance=False, decoder_channels=16)
    )
    with pytest.raises(ValueError, match="aesthetic head"):
        FeatureAnchor(looking)
