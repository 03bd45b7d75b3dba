"""The steps of a network that tells more than map and score."""

import numpy as np
import torch

from saliency import Card, Checkpoint
from saliency.attributes import Attribute
from saliency.bench.stages import eager_predictor
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing


def test_the_baseline_tells_attributes_too():
    torch.manual_seed(0)
    network = SaliencyNetwork(
        Architecture(
            "test_efficientnet", decoder_channels=16, attributes=(Attribute("mood", 1, 7),)
        )
    )
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    predictor = eager_predictor(Checkpoint(network, preprocessing, Card()), torch.device("cpu"))
    [mood] = predictor.predict(np.zeros((60, 90, 3), np.uint8)).attributes
    assert 1 <= mood.value <= 7
