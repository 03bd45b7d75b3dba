"""What training starts from: other checkpoints, and read-outs in closed form.

With the latter training begins where ridge regression ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency.checkpoint import find_weights, load_checkpoint, read_header
from saliency.datasets import LabelledDataset
from saliency.datasets.spoiling import check_distortions, spoil
from saliency.errors import ConfigError, ImageError
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.aesthetics import SpoiltRows
from saliency.model.readout import pool_features
from saliency.preprocessing import Preprocessing
from saliency.training.config import TrainingConfig

FIT_IMAGES = 4000
"""Largest number of rated images that the aesthetic head's start is computed from."""

OFFSETS = tuple(f"priors.{name}_offsets" for name in ("center_bias", "log_temperature", "log_blur"))
"""Names of the tensors with a row for each data set."""

START_COPIES = 3
"""Number of spoilt copies of each photo of a set that is to be spoilt."""


def start_read_outs(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    rated: Sequence[LabelledDataset],
    config: TrainingConfig,
    device: torch.device,
    *,
    kept: Collection[str] = (),
) -> None:
    """Set the read-outs as a recipe says, see `fit_read_outs`.

    Args:
        network: The network whose read-outs are set.
        preprocessing: The network's preprocessing.
        rated: Sets with ratings.
        config: The recipe.
        device: Where to compute.
        kept: Names of tasks whose read-outs stay as they are.
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
        kept=kept,
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
    kept: Collection[str] = (),
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
        kept: Names of tasks whose read-outs stay as they are.
    """
    tasks = [name for name in network.architecture.tasks if name not in ("saliency", *kept)]
    if not tasks:
        return
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
            spoils = "aesthetics" in tasks and dataset.name in spoilt
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
    if network.aesthetics is not None and "aesthetics" in tasks:
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
        if head.attribute.name not in tasks:
            continue
        labels = torch.stack(attributes)[:, number].to(device)
        known = ~labels.isnan()
        if not known.any():
            continue  # only photos between those that were read have the label
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


def known_tasks(network: SaliencyNetwork, path: Path | None) -> list[str]:
    """Return the tasks of `network` whose heads the checkpoint `path` has; none without one."""
    if path is None:
        return []
    its = Architecture.from_fields(read_header(find_weights(path)).architecture)
    mine = network.architecture
    others = {one.name for one in mine.attributes if one not in its.attributes}
    return [name for name in mine.tasks if name in its.tasks and name not in others]


def start_network(network: SaliencyNetwork, path: Path) -> None:
    """Give `network` the weights of a checkpoint, so that training goes on from there.

    Sets and attributes may be others. A set that the checkpoint does not have starts from the
    priors for photos of unknown origin, and the head of such an attribute stays as it is.

    Args:
        network: The network to set.
        path: A checkpoint of this project, or the name of released weights.

    Raises:
        CheckpointError: There is no such checkpoint.
        ConfigError: The rest of its network is another one.
    """
    other = load_checkpoint(find_weights(path)).network
    mine, its = network.architecture, other.architecture
    state, found = network.state_dict(), other.state_dict()
    for name in OFFSETS:
        if name in state and name in found:
            for index, dataset in enumerate(mine.datasets):
                if dataset in its.datasets:
                    state[name][index] = found[name][its.datasets.index(dataset)]
            del found[name]
    heads = {f"attributes.{index}.": one for index, one in enumerate(mine.attributes)}
    tensors = {name: tensor for name, tensor in found.items() if not name.startswith("attributes.")}
    for start, attribute in heads.items():
        if attribute in its.attributes:
            before = f"attributes.{its.attributes.index(attribute)}."
            tensors |= {
                start + name.removeprefix(before): tensor
                for name, tensor in found.items()
                if name.startswith(before)
            }
    free = (*OFFSETS, *(start for start, one in heads.items() if one not in its.attributes))
    wanted = {name: tensor.shape for name, tensor in state.items() if not name.startswith(free)}
    given = {name: tensor.shape for name, tensor in tensors.items()}
    if wanted != given:
        names = sorted(name for name, _ in wanted.items() ^ given.items())
        raise ConfigError(
            "`model.start` should hold this recipe's network, but for its sets and attributes. "
            f"Found another one in {path}: {len(set(names))} tensors differ, the first is "
            f"{names[0]}. `saliency info` tells the options that it was trained with."
        )
    network.load_state_dict(state | tensors)
