"""What happens before the first step, so that training does not begin below what is known."""

from __future__ import annotations

from pathlib import Path

import torch

from saliency.checkpoint import load_checkpoint
from saliency.datasets import LabelledDataset
from saliency.errors import ConfigError, ImageError
from saliency.model import SaliencyNetwork
from saliency.model.aesthetics import pool_features
from saliency.preprocessing import Preprocessing

FIT_IMAGES = 4000
"""Rated images that the aesthetic head's start is computed from, at most."""


@torch.no_grad()
def fit_aesthetics(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    rated: tuple[LabelledDataset, ...],
    ridge: float,
    device: torch.device,
) -> None:
    """Start the aesthetic head at ridge regression on the pretrained encoder's features."""
    assert network.aesthetics is not None  # noqa: S101
    stride = -(-sum(len(dataset) for dataset in rated) // FIT_IMAGES)
    pooled, distributions = [], []
    network.eval()
    for dataset in rated:
        for index in range(0, len(dataset), stride):
            try:
                sample = dataset[index]
            except ImageError:
                continue  # the loader names it
            images = torch.from_numpy(preprocessing.to_input(sample.image))[None]
            features = network.encoder(images.to(device))
            pooled.append(pool_features([features[i] for i in network.aesthetic_stages]))
            distributions.append(torch.from_numpy(sample.score_distribution))
    network.aesthetics.fit(torch.cat(pooled), torch.stack(distributions).to(device), ridge)


def start_encoder(network: SaliencyNetwork, path: Path) -> None:
    """Give `network` the encoder of a checkpoint, trained on another task for example.

    Raises:
        CheckpointError: It is no checkpoint of this project.
        ConfigError: Its encoder is another one.
    """
    other = load_checkpoint(path).network
    mine, its = (n.architecture.encoder for n in (network, other))
    if (mine, network.encoder.final_features) != (its, other.encoder.final_features):
        raise ConfigError(
            f"`model.encoder_start` should hold the encoder {mine} with final_features = "
            f"{network.encoder.final_features}. Found {its} and {other.encoder.final_features} "
            f"in {path}."
        )
    network.encoder.load_state_dict(other.encoder.state_dict())
