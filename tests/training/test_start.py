import numpy as np
import pytest
import torch

from saliency.checkpoint import Card, Checkpoint
from saliency.datasets import DrawnDataset
from saliency.metrics import plcc
from saliency.model import Architecture, SaliencyNetwork
from saliency.predictor import Predictor
from saliency.preprocessing import Preprocessing
from saliency.training.start import fit_aesthetics, label_with_itself
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


def test_self_labels_are_what_the_network_predicts_now(network):
    looked = DrawnDataset(11, 0)
    labels = label_with_itself(network, PREPROCESSING, (looked,), CPU)
    predictor = Predictor(Checkpoint(network, PREPROCESSING, Card()), CPU)
    expected = predictor.predict(looked[10].image).score_distribution
    np.testing.assert_allclose(labels["drawn", looked.ids[10]], expected, atol=1e-5)
    assert len(labels) == 11


def test_images_with_ratings_get_no_self_label(network):
    rated = DrawnDataset(3, 0, rated=True)
    assert label_with_itself(network, PREPROCESSING, (rated,), CPU) == {}
