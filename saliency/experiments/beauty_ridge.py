"""The baseline that an aesthetic head has to beat: ridge regression on frozen features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency.experiments.frozen_features import (
    compute_features,
    rated_set_with_folds,
    rows_of_fold,
)
from saliency.metrics import plcc, srcc
from saliency.model.aesthetics import AestheticHead
from saliency.training.config import TrainingConfig
from saliency.types import SCORES


@dataclass(frozen=True)
class FoldResult:
    """Ridge regression measured on one fold.

    Attributes:
        fold: Fold that was left out of training.
        images: Number of images in it.
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
        config: Config with the encoder and one rated set whose split has folds.
        data_root: Folder of the sets.
        final_features: Also use what the ImageNet classifier pools.
        on_image: Called after each image, for a progress bar.

    Raises:
        ConfigError: The config has no rated set with folds.
    """
    set_config, folds = rated_set_with_folds(config)
    features = compute_features(
        config, set_config, data_root, final_features=final_features, on_image=on_image
    )
    results = []
    for fold in folds:
        outside, inside = rows_of_fold(features, set_config, data_root, fold)
        head = AestheticHead(features.widths, 1, 0.0).eval()
        head.fit(features.pooled[outside], features.votes[outside], config.model.ridge)
        predicted = _mean_scores(head, features.pooled[inside])
        rated = features.votes[inside].numpy() @ SCORES
        results.append(
            FoldResult(fold, len(inside), srcc(predicted, rated), plcc(predicted, rated))
        )
    return results


@torch.no_grad()
def _mean_scores(head: AestheticHead, pooled: Tensor) -> NDArray[np.float64]:
    """Return the mean of the tilted distribution, a monotone function of the regression's score."""
    logits = head.logits((pooled - head.feature_mean) / head.feature_std)
    return np.asarray(logits.double().softmax(dim=1).numpy() @ SCORES)
