"""Pooled features of a rated set from an encoder that is not trained, and the set's folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from saliency.datasets import LabelledDataset, read_split
from saliency.datasets.config import SetConfig, is_rated
from saliency.datasets.sets import build_set, open_whole_set
from saliency.errors import ConfigError
from saliency.model import SaliencyNetwork
from saliency.model.readout import pool_features
from saliency.preprocessing import Preprocessing
from saliency.training.building import build_network
from saliency.training.config import TrainingConfig


@dataclass(frozen=True)
class RatedFeatures:
    """The features of a rated set from a frozen encoder, rows in the order of `ids`.

    Attributes:
        ids: File names of the N images.
        pooled: (N, F) float32 from `pool_features`.
        votes: (N, K) float32 score distributions.
        attributes: (N, A) float32 labels, nan where unknown.
        widths: Number of channels of each stage; `pooled` has two columns for each channel.
    """

    ids: tuple[str, ...]
    pooled: Tensor
    votes: Tensor
    attributes: Tensor
    widths: tuple[int, ...]


def rated_set_with_folds(config: TrainingConfig) -> tuple[SetConfig, list[int]]:
    """Return the first rated set whose split has folds, and the folds.

    Raises:
        ConfigError: There is no such set.
    """
    for set_config in config.data.sets:
        if is_rated(set_config) and set_config.split is not None:
            rows = read_split(set_config.split).rows
            folds = sorted({row.fold for row in rows if row.fold is not None})
            if folds:
                return set_config, folds
    raise ConfigError("The config should have a rated set whose split has folds. Found none.")


def rows_of_fold(
    features: RatedFeatures, set_config: SetConfig, data_root: Path | None, fold: int
) -> tuple[list[int], list[int]]:
    """Return the rows that a network with `test_fold` is trained and tested on.

    It is trained on the split's train part without the fold.
    """
    row_of = {image_id: row for row, image_id in enumerate(features.ids)}
    in_turn = set_config.model_copy(update={"test_fold": fold})
    outside = [row_of[i] for i in build_set(in_turn, "train", data_root).ids]
    inside = [row_of[i] for i in build_set(in_turn, "test", data_root).ids]
    return outside, inside


def compute_features(
    config: TrainingConfig,
    set_config: SetConfig,
    data_root: Path | None,
    *,
    final_features: bool = False,
    on_image: Callable[[], None] | None = None,
) -> RatedFeatures:
    """Compute the features of a whole rated set.

    The features are mean and standard deviation of the depths that the aesthetic head reads.

    Args:
        config: Config with the encoder, the size of inputs and the attributes.
        set_config: One of its rated sets.
        data_root: Folder of the sets.
        final_features: Also use what the ImageNet classifier pools.
        on_image: Called after each image, for a progress bar.
    """
    network = _frozen_network(config, data_root, final_features=final_features)
    preprocessing = Preprocessing(
        config.data.height, config.data.width, network.encoder.mean, network.encoder.std
    )
    dataset = open_whole_set(set_config, data_root, config.data.attribute_columns())
    pooled, votes, attributes = _features(network, preprocessing, dataset, on_image)
    widths = tuple(network.encoder.channels[i] for i in network.aesthetic_stages)
    return RatedFeatures(tuple(dataset.ids), pooled, votes, attributes, widths)


def _frozen_network(
    config: TrainingConfig, data_root: Path | None, *, final_features: bool
) -> SaliencyNetwork:
    model = replace(
        config.model,
        saliency=False,
        aesthetics=True,
        guidance=False,
        score_attention=False,
        final_features=final_features,
    )
    network = build_network(config.model_copy(update={"model": model}), data_root)
    return network.eval()


@torch.no_grad()
def _features(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    dataset: LabelledDataset,
    on_image: Callable[[], None] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return pooled features (N, F), votes (N, K) and attributes (N, A) of a whole set."""
    pooled, votes, attributes = [], [], []
    for index in range(len(dataset)):
        sample = dataset[index]
        features = network.encoder(torch.from_numpy(preprocessing.to_input(sample.image))[None])
        pooled.append(pool_features([features[i] for i in network.aesthetic_stages]))
        votes.append(torch.from_numpy(sample.score_distribution))
        attributes.append(torch.tensor(sample.attributes))
        if on_image:
            on_image()
    return torch.cat(pooled), torch.stack(votes), torch.stack(attributes)
