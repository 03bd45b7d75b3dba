"""Building the tasks and the network, with its pretrained encoder, from a config."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from saliency.datasets.sets import LabelledSets
from saliency.errors import ConfigError, ImageError
from saliency.model import SaliencyNetwork
from saliency.tasks import AestheticTask, AttributeTask, OrderTask, SaliencyTask, Task
from saliency.training.config import TrainingConfig
from saliency.training.start import start_encoder, start_network


def build_tasks(config: TrainingConfig, sets: LabelledSets) -> tuple[Task, ...]:
    """Return the tasks of a config.

    Raises:
        ConfigError: A head has no labelled set.
    """
    tasks: list[Task] = []
    if config.model.saliency:
        if not sets.saliency or not config.train.saliency_per_batch:
            raise ConfigError(
                "`model.saliency` needs a set with fixations and train.saliency_per_batch > 0. "
                "Found none; add a set, or set model.saliency and model.guidance to false."
            )
        tasks.append(SaliencyTask(config.model.auxiliary_weight))
    if config.model.aesthetics:
        if not sets.rated or not config.train.rated_per_batch:
            raise ConfigError(
                "`model.aesthetics` needs a set with ratings and train.rated_per_batch > 0. "
                "Found none; add a set, or set model.aesthetics and model.guidance to false."
            )
        tasks.append(AestheticTask(config.train.score_loss))
        if learns_order(config):
            tasks.append(OrderTask())
    for number, attribute in enumerate(config.data.attributes):
        if not config.train.rated_per_batch or not _is_known(sets, number):
            raise ConfigError(
                f"The attribute {attribute.name!r} needs a rated set with labels for it and "
                "train.rated_per_batch > 0. Found none; a set in the layout `ratings` has them if "
                f"its CSV has a column {attribute.column or attribute.name!r}."
            )
        tasks.append(
            AttributeTask(
                number, attribute.attribute(), heteroscedastic=config.model.heteroscedastic
            )
        )
    return tuple(tasks)


def learns_order(config: TrainingConfig) -> bool:
    """Return whether batches hold spoilt copies of photos, which are to score lower."""
    train, data = config.train, config.data
    return bool(train.rated_per_batch and any(s.copies for s in data.sets)) or bool(
        train.photos_per_batch and any(photos.copies for photos in data.photos)
    )


def _is_known(sets: LabelledSets, number: int) -> bool:
    """Return whether an image of a set has the label of an attribute."""
    for dataset in sets.rated:
        for index in range(len(dataset)):
            try:
                attributes = dataset[index].attributes
            except ImageError:
                continue  # the loader reports it
            if len(attributes) <= number:
                break  # others of this set have none either; it may be large
            if not math.isnan(attributes[number]):
                return True
    return False


def least_rated_gradient(config: TrainingConfig) -> float:
    """Return the smallest share of a rated task's gradient that reaches the encoder."""
    shares = [1.0]
    if config.model.aesthetics:
        shares.append(config.model.aesthetic_gradient)
    if config.data.attributes:
        shares.append(config.model.attribute_gradient)
    return min(shares)


def build_network(config: TrainingConfig, data_root: Path | None) -> SaliencyNetwork:
    """Return the network to train, with the pretrained weights that the config names."""
    weights, start = config.model.encoder_weights, config.model.start
    if weights is not None and data_root is not None:
        weights = data_root / weights
    network = SaliencyNetwork(
        config.architecture(),
        encoder_weights=weights,
        pretrained=config.model.pretrained and start is None,
        train_batch_norm_affine=config.model.train_batch_norm_affine,
    )
    if config.model.encoder_start is not None:
        start_encoder(network, config.model.encoder_start)
    if start is not None:
        start_network(network, start)
    landscape = ((config.data.height, config.data.width), *config.data.further_sizes)
    for size in landscape:  # fails now, not at the first such photo
        network.encoder.check_size(size)
        network.encoder.check_size(size[::-1])
    for encoder in network.sharing.encoders(network.encoder):
        encoder.tune(config.model.encoder_tuning, config.model.encoder_rank)
        encoder.freeze_shallow(config.model.frozen_stride)
    return network


def compile_encoder(network: SaliencyNetwork) -> None:
    """Compile the encoder, the most costly part, in place; the heads are not compiled.

    Gradients are taken at the encoder's outputs and at its last layer, and more than once. A
    network that is compiled as a whole would hide these places.
    """
    torch._functorch.config.donated_buffer = False  # otherwise its graph could not be kept
    network.encoder.compile()
