import numpy as np
import pytest
import torch

from saliency.checkpoint import Card, Checkpoint, load_checkpoint
from saliency.datasets import DrawnDataset
from saliency.errors import ConfigError
from saliency.metrics import plcc
from saliency.model import Architecture, SaliencyNetwork
from saliency.predictor import Predictor
from saliency.preprocessing import Preprocessing
from saliency.training.start import fit_read_outs, start_encoder
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
