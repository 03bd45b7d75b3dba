from pathlib import Path

import numpy as np
import pytest
import torch

from saliency.attributes import Attribute
from saliency.checkpoint import Card, Checkpoint, load_checkpoint, save_checkpoint
from saliency.datasets import DrawnDataset
from saliency.errors import ConfigError
from saliency.metrics import plcc
from saliency.model import Architecture, SaliencyNetwork
from saliency.predictor import Predictor
from saliency.preprocessing import Preprocessing
from saliency.training.start import fit_read_outs, known_tasks, start_encoder, start_network
from saliency.types import SCORES

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(64, 96, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16, dropout=0.0))


def test_the_fitted_head_knows_its_training_images(network):
    rated = DrawnDataset(40, 0, rated=True)
    fit_read_outs(network, PREPROCESSING, (rated,), 1.0, CPU)
    samples = [rated[i] for i in range(len(rated))]
    predictor = Predictor(Checkpoint(network, PREPROCESSING, Card()), CPU)
    predicted = [p.score for p in predictor.predict_many([s.image for s in samples])]
    assert (
        plcc(np.array(predicted), np.array([s.score_distribution @ SCORES for s in samples])) > 0.9
    )


def test_an_encoder_starts_from_another_checkpoints(network, tiny_weights):
    start_encoder(network, tiny_weights)
    mine, its = network.state_dict(), load_checkpoint(tiny_weights).network.state_dict()
    encoders = [name for name in mine if name.startswith("encoder.")]
    assert all(torch.equal(mine[name], its[name]) for name in encoders)


def test_another_encoder_is_refused(tiny_weights):
    network = SaliencyNetwork(Architecture("test_convnext", decoder_channels=16))
    with pytest.raises(ConfigError, match=r"test_convnext.*Found test_efficientnet"):
        start_encoder(network, tiny_weights)


VALENCE = Attribute("valence", low=1, high=7)
TYPE = Attribute("type", classes=("animal", "person"))


def build(**options):
    return SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16, **options))


@pytest.fixture
def trained(tmp_path):
    """A checkpoint of a network with priors of two sets and two attributes, all of its own."""
    torch.manual_seed(1)
    network = build(datasets=("one", "two"), attributes=(VALENCE, TYPE))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter).half())
    path = tmp_path / "trained.safetensors"
    save_checkpoint(path, Checkpoint(network, PREPROCESSING, Card()))
    return path, network


def test_a_network_goes_on_from_a_whole_checkpoint(trained):
    path, before = trained
    network = build(datasets=("one", "two"), attributes=(VALENCE, TYPE))
    start_network(network, path)
    for name, tensor in before.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-3, atol=0)
    assert known_tasks(network, path) == ["saliency", "aesthetics", "valence", "type"]


def test_sets_and_attributes_are_found_by_name(trained):
    path, before = trained
    arousal = Attribute("arousal", low=1, high=7)
    network = build(datasets=("three", "two"), attributes=(TYPE, arousal))
    start_network(network, path)
    new, known = network.priors.center_bias_offsets
    assert torch.equal(new, torch.zeros_like(new))
    assert torch.equal(known, before.priors.center_bias_offsets[1])
    assert torch.equal(network.attributes[0].readout.weight, before.attributes[1].readout.weight)
    assert known_tasks(network, path) == ["saliency", "aesthetics", "type"]


def test_a_checkpoint_of_another_network_is_refused(trained):
    network = build(datasets=("one", "two"), guidance=False)
    with pytest.raises(ConfigError, match=r"`model.start` should hold.*tensors differ"):
        start_network(network, trained[0])


def test_released_weights_are_named():
    assert known_tasks(SaliencyNetwork(Architecture()), Path("default")) == [
        "saliency",
        "aesthetics",
    ]


def test_read_outs_that_are_kept_are_not_fitted(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fit_read_outs(
        network, PREPROCESSING, (DrawnDataset(4, 0, rated=True),), 1.0, CPU, kept=["aesthetics"]
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_head_without_labels_among_the_photos_read_stays_finite():
    network = build(attributes=(VALENCE,))
    fit_read_outs(network, PREPROCESSING, (DrawnDataset(8, 0, rated=True),), 1.0, CPU)
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())
