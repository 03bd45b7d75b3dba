"""What happens before the first step, so that training does not begin below what is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from saliency.checkpoint import Card, Checkpoint
from saliency.datasets import LabelledDataset
from saliency.errors import ImageError
from saliency.model import SaliencyNetwork
from saliency.model.aesthetics import pool_features
from saliency.predictor import Predictor
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
            features = network.encoder(preprocessing.to_input(sample.image)[None].to(device))
            pooled.append(pool_features([features[i] for i in network.aesthetic_stages]))
            distributions.append(torch.from_numpy(sample.score_distribution))
    network.aesthetics.fit(torch.cat(pooled), torch.stack(distributions).to(device), ridge)


def label_with_itself(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    datasets: tuple[LabelledDataset, ...],
    device: torch.device,
) -> dict[tuple[str, str], NDArray[np.float32]]:
    """Return the score distribution that `network` gives each unrated image now.

    As targets while training they hold the aesthetic head to what it knows while another task
    moves the features under it, on many more photos than have ratings.

    Source:
        Li, Hoiem, "Learning without forgetting" (2016).
    """
    predictor = Predictor(Checkpoint(network, preprocessing, Card()), device)
    labels: dict[tuple[str, str], NDArray[np.float32]] = {}
    for dataset in datasets:
        keys: list[tuple[str, str]] = []
        predictions = predictor.predict_many(_unrated_images(dataset, keys))
        for number, prediction in enumerate(predictions):
            if prediction.score_distribution is not None:
                labels[keys[number]] = prediction.score_distribution
    network.train()
    return labels


def _unrated_images(
    dataset: LabelledDataset, keys: list[tuple[str, str]]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the readable images without ratings, and append the (set, id) of each to `keys`."""
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ImageError:
            continue  # the loader names it
        if sample.score_distribution is None:
            keys.append((sample.dataset, sample.image_id))
            yield sample.image
