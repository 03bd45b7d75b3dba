import json

import numpy as np
import pytest
import torch

from saliency import Card, Checkpoint, save_checkpoint
from saliency.attributes import Attribute
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.sharing import CrossStitchOptions
from saliency.preprocessing import Preprocessing


@pytest.fixture
def stitched(tmp_path):
    """A checkpoint of three tasks with an encoder each."""
    torch.manual_seed(0)
    network = SaliencyNetwork(
        Architecture(
            "test_efficientnet",
            decoder_channels=16,
            sharing=CrossStitchOptions(),
            attributes=(Attribute("mood", 1, 7),),
        )
    )
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    path = tmp_path / "stitched.safetensors"
    save_checkpoint(path, Checkpoint(network, preprocessing, Card()))
    return path


def test_it_names_the_tasks_and_how_they_share(saliency, stitched):
    told = saliency("info", stitched).out
    assert "heads       saliency, aesthetics, mood" in told
    assert "sharing     cross_stitch" in told


def test_programs_are_told_what_was_learned_about_the_tasks(saliency, stitched):
    everything = json.loads(saliency("info", stitched, "--json").out)
    matrices = everything["learned_about_tasks"]["stitches"]
    assert np.shape(matrices)[1:] == (3, 3)


def test_the_released_network_shares_one_encoder(saliency):
    assert "sharing     hard" in saliency("info").out
