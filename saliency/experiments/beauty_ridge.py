"""The baseline that an aesthetic head has to beat: ridge regression on frozen features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency.datasets import LabelledDataset, read_split
from saliency.errors import ConfigError
from saliency.metrics import plcc, srcc
from saliency.model import SaliencyNetwork
from saliency.model.aesthetics import AestheticHead
from saliency.model.readout import pool_features
from saliency.preprocessing import Preprocessing
from saliency.training.config import SetConfig, TrainingConfig, is_rated
from saliency.training.data import build_set, open_whole_set
from saliency.training.loop import build_network
from saliency.types import SCORES


@dataclass(frozen=True)
class FoldResult:
    """Ridge regression measured on one fold.

    Attributes:
        fold: The one left out of training.
        images: In it.
        srcc: Rank correlation with the mean scores.
        plcc: Linear correlation with the mean scores.
    """

    fold: int
    images: int
    srcc: float
    plcc: float


def cross_validate(
    config: TrainingConfig,
    data_root: Path | None,
    *,
    final_features: bool = False,
    on_image: Callable[[], None] | None = None,
) -> list[FoldResult]:
    """Cross-validate ridge regression of mean scores on the frozen encoder's features.

    Features are mean and standard deviation of four depths (strides 4 to 32), standardised on the
    training images; the penalty is the config's `model.ridge`. Each fold is predicted from the
    same images as a network trained with `test_fold` sees: the split's train part without it.

    Args:
        config: Names the encoder and one rated set whose split has folds.
        data_root: Folder of the sets.
        final_features: Also use what the ImageNet classifier pools.
        on_image: Called after each image, for a progress bar.

    Raises:
        ConfigError: The config has no rated set with folds.
    """
    set_config, folds = _rated_set_with_folds(config)
    network = _frozen_network(config, data_root, final_features=final_features)
    preprocessing = Preprocessing(
        config.data.height, config.data.width, network.encoder.mean, network.encoder.std
    )
    dataset = open_whole_set(set_config, data_root)
    pooled, votes = _features(network, preprocessing, dataset, on_image)
    row_of = {image_id: row for row, image_id in enumerate(dataset.ids)}
    results = []
    for fold in folds:
        in_turn = set_config.model_copy(update={"test_fold": fold})
        inside = [row_of[i] for i in build_set(in_turn, "test", data_root).ids]
        outside = [row_of[i] for i in build_set(in_turn, "train", data_root).ids]
        head = AestheticHead(_widths(network), 1, 0.0).eval()
        head.fit(pooled[outside], votes[outside], config.model.ridge)
        predicted = _mean_scores(head, pooled[inside])
        rated = votes[inside].numpy() @ SCORES
        results.append(
            FoldResult(fold, len(inside), srcc(predicted, rated), plcc(predicted, rated))
        )
    return results


def _rated_set_with_folds(config: TrainingConfig) -> tuple[SetConfig, list[int]]:
    for set_config in config.data.sets:
        if is_rated(set_config) and set_config.split is not None:
            rows = read_split(set_config.split).rows
            folds = sorted({row.fold for row in rows if row.fold is not None})
            if folds:
                return set_config, folds
    raise ConfigError("The config should have a rated set whose split has folds. Found none.")


def _frozen_network(
    config: TrainingConfig, data_root: Path | None, *, final_features: bool
) -> SaliencyNetwork:
    model = config.model.model_copy(
        update={"saliency": False, "guidance": False, "final_features": final_features}
    )
    network = build_network(config.model_copy(update={"model": model}), data_root)
    return network.eval()


@torch.no_grad()
def _features(
    network: SaliencyNetwork,
    preprocessing: Preprocessing,
    dataset: LabelledDataset,
    on_image: Callable[[], None] | None,
) -> tuple[Tensor, Tensor]:
    """Return pooled features (N, F) and votes (N, K) of a whole set."""
    pooled, votes = [], []
    for index in range(len(dataset)):
        sample = dataset[index]
        features = network.encoder(torch.from_numpy(preprocessing.to_input(sample.image))[None])
        pooled.append(pool_features([features[i] for i in network.aesthetic_stages]))
        votes.append(torch.from_numpy(sample.score_distribution))
        if on_image:
            on_image()
    return torch.cat(pooled), torch.stack(votes)


def _widths(network: SaliencyNetwork) -> list[int]:
    return [network.encoder.channels[i] for i in network.aesthetic_stages]


@torch.no_grad()
def _mean_scores(head: AestheticHead, pooled: Tensor) -> NDArray[np.float64]:
    """Return the mean of the tilted distribution, a monotone function of ridge's own score."""
    logits = head.logits((pooled - head.feature_mean) / head.feature_std)
    return np.asarray(logits.double().softmax(dim=1).numpy() @ SCORES)
