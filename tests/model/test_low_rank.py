"""The tuned parts of a pretrained network; additions of low rank end up in its matrices."""

import copy

import pytest
import torch
from safetensors import safe_open

from saliency import Card, Checkpoint, load_checkpoint, save_checkpoint
from saliency.errors import ConfigError
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.encoders import build_encoder
from saliency.model.low_rank import LowRank, merged_state
from saliency.preprocessing import Preprocessing


def images() -> torch.Tensor:
    return torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    """One whose additions are no longer 0."""
    torch.manual_seed(0)
    network = SaliencyNetwork(Architecture("test_vit", decoder_channels=16))
    network.encoder.tune("low_rank", 2)
    for module in network.modules():
        if isinstance(module, LowRank):
            torch.nn.init.normal_(module.up)
    return network.eval()


def test_tuning_starts_at_the_pretrained_network():
    encoder = build_encoder("test_vit").eval()
    before = encoder(images())
    encoder.tune("low_rank", 2)
    assert all(torch.equal(a, b) for a, b in zip(before, encoder(images()), strict=True))


def test_of_the_pretrained_network_additions_alone_are_trained():
    encoder = build_encoder("test_vit")
    encoder.tune("low_rank", 2)
    trained = {n.rsplit(".", 1)[-1] for n, p in encoder.body.named_parameters() if p.requires_grad}
    assert trained == {"up", "down"}


def test_a_frozen_network_learns_nothing_but_its_pyramid():
    encoder = build_encoder("test_vit")
    encoder.tune("frozen", 2)
    assert not any(p.requires_grad for p in encoder.body.parameters())
    assert len(encoder.fresh_parameters()) == sum(p.requires_grad for p in encoder.parameters()) > 0


def test_tuned_whole_all_of_it_learns():
    encoder = build_encoder("test_vit")
    encoder.tune("full", 2)
    assert all(p.requires_grad for p in encoder.parameters())


def test_an_encoder_without_attention_is_refused_with_one_that_has_it():
    with pytest.raises(ConfigError, match=r"vit_small_patch14_dinov2.*'test_efficientnet'"):
        build_encoder("test_efficientnet").tune("low_rank", 2)


def test_the_merged_tensors_fill_a_network_without_additions(network):
    plain = SaliencyNetwork(network.architecture).eval()
    plain.load_state_dict(merged_state(network))
    torch.testing.assert_close(plain(images()).log_density, network(images()).log_density)


def test_merging_leaves_the_network_and_its_copies_as_they_are(network):
    averaged = copy.deepcopy(network)
    before = network(images()).log_density
    merged_state(averaged)
    assert torch.equal(network(images()).log_density, before)
    assert torch.equal(averaged(images()).log_density, before)


def test_without_additions_the_tensors_are_the_networks_own():
    network = SaliencyNetwork(Architecture("test_vit", decoder_channels=16))
    state, merged = network.state_dict(), merged_state(network)
    assert list(merged) == list(state)
    assert all(torch.equal(merged[name], state[name]) for name in state)


def test_a_checkpoint_holds_the_merged_network(network, tmp_path):
    path = tmp_path / "own.safetensors"
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    save_checkpoint(path, Checkpoint(network, preprocessing, Card()))
    with safe_open(path, "pt") as file:
        assert not any("parametrizations" in name for name in file.keys())  # noqa: SIM118
    loaded = load_checkpoint(path).network
    torch.testing.assert_close(
        loaded(images()).log_density, network(images()).log_density, rtol=0, atol=0.02
    )
