"""Closed-form starts of the read-outs, so that training begins where ridge regression ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency.checkpoint import load_checkpoint
from saliency.datasets import LabelledDataset
from saliency.datasets.spoiling import check_distortions, spoil
from saliency.errors import ConfigError, ImageError
from saliency.model import SaliencyNetwork
from saliency.model.aesthetics import SpoiltRows
from saliency.model.readout import pool_features
from saliency.preprocessing import Preprocessing
from saliency.training.config import TrainingConfig

FIT_IMAGES = 4000
"""Largest number of rated images that the aesthetic head's start is computed from."""

START_COPIES = 3
"""Number of spoilt copies of each photo of a set that is to be spoilt."""


def start_read_outs(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    rated: Sequence[LabelledDataset],
    config: TrainingConfig,
    device: torch.device,
) -> None:
    """Set the read-outs as a recipe says, see `fit_read_outs`.

    Args:
        network: The network whose read-outs are set.
        preprocessing: The network's preprocessing.
        rated: Sets with ratings.
        config: The recipe.
        device: Where to compute.
    """
    fit_read_outs(
        network,
        preprocessing,
        rated,
        config.model.ridge,
        device,
        spoilt={s.name for s in config.data.sets if s.copies},
        distortions=check_distortions(config.data.distortions),
        in_half=config.train.in_half(device.type),
    )


@torch.no_grad()
def fit_read_outs(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    rated: Sequence[LabelledDataset],
    ridge: float,
    device: torch.device,
    *,
    spoilt: Collection[str] = (),
    distortions: Sequence[str] = (),
    in_half: bool = False,
) -> None:
    """Start the heads of whole photos as ridge regression on the pretrained encoder's features.

    Args:
        network: The network whose read-outs are set.
        preprocessing: The network's preprocessing.
        rated: Sets with ratings.
        ridge: Penalty on the squared weights.
        device: Where to compute.
        spoilt: Names of sets whose photos' spoilt copies are further rows.
        distortions: Names of the distortions of these copies.
        in_half: Whether to compute the features in bfloat16, as training will.
    """
    tasks = [name for name in network.architecture.tasks if name != "saliency"]
    pooled: dict[str, list[Tensor]] = {name: [] for name in tasks}
    distributions: list[Tensor] = []
    attributes: list[Tensor] = []
    copies: list[Tensor] = []
    photo_of: list[int] = []
    margins: list[float] = []
    network.eval()

    def pool(photos: Sequence[NDArray[np.uint8]]) -> dict[str, Tensor]:
        images = torch.from_numpy(np.stack([preprocessing.to_input(photo) for photo in photos]))
        with torch.autocast(device.type, torch.bfloat16, enabled=in_half):
            features = network.sharing(network.encoder, images.to(device)).by_task
        by_task = {name: features[network.architecture.tasks.index(name)] for name in tasks}
        return {
            name: pool_features([own[i].float() for i in network.aesthetic_stages])
            for name, own in by_task.items()
        }

    for dataset in rated:
        # A stride for each set: a large set must not thin out labels that only a small one has.
        stride = -(-len(dataset) * len(rated) // FIT_IMAGES)
        for index in range(0, len(dataset), stride):
            try:
                sample = dataset[index]
            except ImageError:
                continue  # the loader reports it
            spoils = network.aesthetics is not None and dataset.name in spoilt
            worse = spoil(sample, START_COPIES, distortions, seed=index) if spoils else ()
            for name, features in pool([one.image for one in (sample, *worse)]).items():
                pooled[name].append(features[:1])
                if name == "aesthetics":
                    copies.append(features[1:])
            photo_of += [len(distributions)] * len(worse)
            margins += [copy.spoiling.margin for copy in worse if copy.spoiling]
            distributions.append(torch.from_numpy(sample.score_distribution))
            unknown = (float("nan"),) * len(network.attributes)
            attributes.append(torch.tensor(sample.attributes or unknown))
    if network.aesthetics is not None:
        rows = None
        if margins:
            rows = SpoiltRows(
                torch.cat(copies),
                torch.tensor(photo_of, device=device),
                torch.tensor(margins, device=device),
            )
        votes = torch.stack(distributions).to(device)
        network.aesthetics.fit(torch.cat(pooled["aesthetics"]), votes, ridge, rows)
    for number, head in enumerate(network.attribute_heads()):
        labels = torch.stack(attributes)[:, number].to(device)
        known = ~labels.isnan()
        head.fit(torch.cat(pooled[head.attribute.name])[known], labels[known], ridge)


def start_encoder(network: SaliencyNetwork, path: Path) -> None:
    """Give `network` the encoder of a checkpoint, trained on another task for example.

    Where tasks have encoders of their own, all start from it.

    Raises:
        CheckpointError: `path` is no checkpoint of this project.
        ConfigError: The checkpoint has another encoder.
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
