import numpy as np
import pytest
import torch

from saliency.checkpoint import Card, Checkpoint
from saliency.datasets import DrawnDataset
from saliency.metrics import plcc
from saliency.model import Architecture, SaliencyNetwork
from saliency.predictor import Predictor
from saliency.preprocessing import Preprocessing
from saliency.training.start import fit_aesthetics
from saliency.types import SCORES

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(64, 96, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16, dropout=0.0))


def test_the_fitted_head_knows_its_training_images(network):
    rated = DrawnDataset(40, 0, rated=True)
    fit_aesthetics(network, PREPROCESSING, (rated,), 1.0, CPU)
    samples = [rated[i] for i in range(len(rated))]
    predictor = Predictor(Checkpoint(network, PREPROCESSING, Card()), CPU)
    predicted = [p.score for p in predictor.predict_many([s.image for s in samples])]
    assert (
        plcc(np.array(predicted), np.array([s.score_distribution @ SCORES for s in samples])) > 0.9
    )
