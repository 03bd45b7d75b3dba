"""What happens before the first step, so that training does not begin below what is known."""

from __future__ import annotations

from pathlib import Path

import torch

from saliency.checkpoint import load_checkpoint
from saliency.datasets import LabelledDataset
from saliency.errors import ConfigError, ImageError
from saliency.model import SaliencyNetwork
from saliency.model.readout import pool_features
from saliency.preprocessing import Preprocessing

FIT_IMAGES = 4000
"""Rated images that the aesthetic head's start is computed from, at most."""


@torch.no_grad()
def fit_read_outs(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    rated: tuple[LabelledDataset, ...],
    ridge: float,
    device: torch.device,
) -> None:
    """Start the heads of whole photos at ridge regression on the pretrained encoder's features."""
    tasks = [name for name in network.architecture.tasks if name != "saliency"]
    pooled: dict[str, list[torch.Tensor]] = {name: [] for name in tasks}
    distributions, attributes = [], []
    network.eval()
    for dataset in rated:
        # A stride a set: a large one must not thin out the labels that a small one alone has.
        stride = -(-len(dataset) * len(rated) // FIT_IMAGES)
        for index in range(0, len(dataset), stride):
            try:
                sample = dataset[index]
            except ImageError:
                continue  # the loader names it
            images = torch.from_numpy(preprocessing.to_input(sample.image))[None]
            features = network.sharing(network.encoder, images.to(device)).by_task
            for name in tasks:
                own = features[network.architecture.tasks.index(name)]
                pooled[name].append(pool_features([own[i] for i in network.aesthetic_stages]))
            distributions.append(torch.from_numpy(sample.score_distribution))
            unknown = (float("nan"),) * len(network.attributes)
            attributes.append(torch.tensor(sample.attributes or unknown))
    if network.aesthetics is not None:
        votes = torch.stack(distributions).to(device)
        network.aesthetics.fit(torch.cat(pooled["aesthetics"]), votes, ridge)
    for number, head in enumerate(network.attribute_heads()):
        labels = torch.stack(attributes)[:, number].to(device)
        known = ~labels.isnan()
        head.fit(torch.cat(pooled[head.attribute.name])[known], labels[known], ridge)


def start_encoder(network: SaliencyNetwork, path: Path) -> None:
    """Give `network` the encoder of a checkpoint, trained on another task for example.

    Where tasks have encoders of their own, all start from it.

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
    for encoder in network.sharing.encoders(network.encoder):
        encoder.load_state_dict(other.encoder.state_dict())
