"""Encoders of many families learn, are exported, and predict the same from the exported file."""

import numpy as np
import pytest
import torch

from saliency import Card, Checkpoint, Predictor, save_checkpoint
from saliency.backends.export import export_graphs
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing

HEIGHT, WIDTH = 96, 128

STEPS = 4

FAMILIES = [
    "convnext_atto",
    "deit_tiny_distilled_patch16_224",
    "edgenext_xx_small",
    "eva02_tiny_patch14_224",
    "test_vit",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_it_learns_and_is_exported(name, photos, tmp_path):
    torch.manual_seed(0)
    network = SaliencyNetwork(Architecture(name, final_features=True, decoder_channels=32))
    losses = learn(network)
    assert losses[-1] < losses[0]  # and neither is nan

    weights = tmp_path / "own.safetensors"
    preprocessing = Preprocessing(HEIGHT, WIDTH, network.encoder.mean, network.encoder.std)
    save_checkpoint(weights, Checkpoint(network, preprocessing, Card()))
    export_graphs(weights)
    exported, reference = (Predictor.load(weights, "cpu", backend=b) for b in ("onnx", "torch"))
    for photo in photos:
        found, expected = exported.predict(photo), reference.predict(photo)
        assert found.density is not None
        assert expected.density is not None
        assert np.abs(found.density - expected.density).max() < 0.01 * expected.density.max()
        assert found.score == pytest.approx(expected.score, abs=0.005)


def learn(network: SaliencyNetwork) -> list[float]:
    """Take some steps, with channels last as in training, and return their losses."""
    layout = torch.channels_last
    network.to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    images = torch.randn(2, 3, HEIGHT, WIDTH).contiguous(memory_format=layout)
    density = torch.rand(2, HEIGHT, WIDTH) ** 4
    density = density / density.sum(dim=(1, 2), keepdim=True)
    losses = []
    for _ in range(STEPS):
        output = network(images)
        assert output.log_density is not None
        assert output.score_logits is not None
        loss = -(density * output.log_density).sum(dim=(1, 2)).mean()
        loss = loss - output.score_logits.log_softmax(dim=1)[:, 6].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
