"""The score read-out is partly solved again; the rest of the network does not change."""

from dataclasses import replace

import pytest
import torch

from saliency.checkpoint import Card, Checkpoint, load_checkpoint, read_header
from saliency.errors import ConfigError
from saliency.model import Architecture, SaliencyNetwork
from saliency.training.refit import refit_scores

CPU = torch.device("cpu")


@pytest.fixture
def trained(tiny_weights) -> Checkpoint:
    return load_checkpoint(tiny_weights)


def logits(checkpoint: Checkpoint) -> torch.Tensor:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        return checkpoint.network(images).score_logits


def test_a_share_of_0_changes_nothing(trained, tiny_config):
    refitted = refit_scores(trained, tiny_config(), None, CPU, share=0.0)
    torch.testing.assert_close(logits(refitted), logits(trained))


def test_half_lies_in_the_middle(trained, tiny_config):
    half, whole = (refit_scores(trained, tiny_config(), None, CPU, share=s) for s in (0.5, 1.0))
    assert not torch.allclose(logits(whole), logits(trained), atol=0.01)
    middle = (logits(whole) + logits(trained)) / 2
    torch.testing.assert_close(logits(half), middle, rtol=1e-4, atol=1e-4)


def test_nothing_but_the_read_out_is_another(trained, tiny_config):
    before = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    after = refit_scores(trained, tiny_config(), None, CPU).network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"aesthetics.logits.weight", "aesthetics.logits.bias"}
    kept = trained.network.state_dict()
    assert all(torch.equal(before[name], kept[name]) for name in before)


def test_version_and_measurements_of_the_network_before_are_not_taken_over(trained, tiny_config):
    card = Card(version="1.0", data=("drawn",), metrics={"drawn": {"SRCC": 0.9}})
    refitted = refit_scores(replace(trained, card=card), tiny_config(), None, CPU)
    assert refitted.card == Card(data=("drawn",))


def test_a_network_without_scores_is_refused(tiny_weights, tiny_config):
    architecture = Architecture("test_efficientnet", aesthetics=False, guidance=False)
    network = SaliencyNetwork(architecture)
    header = read_header(tiny_weights)
    checkpoint = Checkpoint(network, header.preprocessing, header.card)
    with pytest.raises(ConfigError, match="no head"):
        refit_scores(checkpoint, tiny_config(), None, CPU)
