"""A Gaussian process for all rated tasks at once, on frozen features, beside ridge regression.

How well can beauty, valence and arousal be predicted without training a network, does it help to
predict them together, and does the process know when it is wrong?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from saliency.datasets import read_split
from saliency.datasets.config import SetConfig
from saliency.errors import ConfigError
from saliency.experiments.coregionalised_gp import CoregionalisedGP
from saliency.experiments.frozen_features import (
    RatedFeatures,
    compute_features,
    rated_set_with_folds,
    rows_of_fold,
)
from saliency.metrics import srcc
from saliency.model.readout import solve_ridge
from saliency.training.config import TrainingConfig
from saliency.types import SCORES

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FoldResult:
    """Results of one fold, predicted from the others; tuples have a value for each of T targets.

    Attributes:
        fold: Fold that was left out of training.
        images: Number of images in it.
        ridge: SRCC of ridge regression, each target by itself.
        independent: SRCC of a process whose outputs share the kernel and nothing else.
        together: SRCC of the process with correlated outputs.
        correlations: (T, T) learned correlations between the outputs.
        length_scale: Length scale of its kernel.
        noise: Standard deviation of its noise, in units of the targets' standard deviation.
        errors: (images, T) prediction minus rating, in the target's units.
        stds: (images, T) predicted standard deviations.
    """

    fold: int
    images: int
    ridge: tuple[float, ...]
    independent: tuple[float, ...]
    together: tuple[float, ...]
    correlations: Array
    length_scale: float
    noise: float
    errors: Array
    stds: Array


@dataclass(frozen=True)
class Calibration:
    """How well the process predicts its errors, for one target over all folds.

    Attributes:
        srcc: Rank correlation of the absolute error with the predicted standard deviation.
        within_one: Share of images whose error is at most one standard deviation; ideally .683.
        within_two: The same for two standard deviations; ideally .954.
    """

    srcc: float
    within_one: float
    within_two: float


@dataclass(frozen=True)
class Rated:
    """Results of the cross-validation.

    Attributes:
        targets: Names of T targets: beauty on 1..10, then the config's scales in their own units.
        folds: Results of each fold.
    """

    targets: tuple[str, ...]
    folds: tuple[FoldResult, ...]

    def calibration(self, target: str) -> Calibration:
        """Return the calibration of the standard deviations of one target."""
        column = self.targets.index(target)
        errors = np.abs(np.concatenate([f.errors[:, column] for f in self.folds]))
        stds = np.concatenate([f.stds[:, column] for f in self.folds])
        shares = [float(np.mean(errors <= times * stds)) for times in (1, 2)]
        return Calibration(srcc(stds, errors), *shares)


def cross_validate(
    config: TrainingConfig,
    data_root: Path | None,
    *,
    final_features: bool = False,
    on_image: Callable[[], None] | None = None,
) -> Rated:
    """Cross-validate on the folds of a rated set, without its test part.

    Args:
        config: Config with the encoder, the attributes, and one rated set whose split has folds.
        data_root: Folder of the sets.
        final_features: Also use what the ImageNet classifier pools.
        on_image: Called after each image, for a progress bar.

    Raises:
        ConfigError: The config has no rated set with folds outside the test part.
    """
    set_config, _ = rated_set_with_folds(config)
    features = compute_features(
        config, set_config, data_root, final_features=final_features, on_image=on_image
    )
    return compare(config, set_config, data_root, features)


def compare(
    config: TrainingConfig,
    set_config: SetConfig,
    data_root: Path | None,
    features: RatedFeatures,
) -> Rated:
    """Compare ridge and both processes on each fold; see `cross_validate`."""
    names, targets = _targets(config, features)
    known = np.asarray(np.isfinite(targets).all(axis=1))
    results = []
    for fold in _folds_to_train(set_config):
        outside, inside = (
            [row for row in rows if known[row]]
            for rows in rows_of_fold(features, set_config, data_root, fold)
        )
        x, new = _standardised(features, outside, inside)
        results.append(_fold(fold, x, targets[outside], new, targets[inside], config.model.ridge))
    return Rated(names, tuple(results))


def _fold(fold: int, x: Array, y: Array, new: Array, rated: Array, ridge: float) -> FoldResult:
    """Fit (N, T) ratings `y` on (N, F) rows `x`; measure on rows `new` with ratings `rated`."""
    mean, std = y.mean(axis=0), y.std(axis=0)
    standard = (y - mean) / std
    weights = solve_ridge(torch.from_numpy(x), torch.from_numpy(standard), ridge).numpy()
    alone = CoregionalisedGP.fit(x, standard, correlated=False)
    together = CoregionalisedGP.fit(x, standard)
    predicted, stds = together.predict(new)
    deviations = np.sqrt(np.diag(together.outputs))

    def rank(prediction: Array) -> tuple[float, ...]:
        return tuple(srcc(p, r) for p, r in zip(prediction.T, rated.T, strict=True))

    return FoldResult(
        fold,
        len(new),
        ridge=rank(new @ weights),
        independent=rank(alone.predict(new)[0]),
        together=rank(predicted),
        correlations=together.outputs / np.outer(deviations, deviations),
        length_scale=together.length_scale,
        noise=float(np.sqrt(together.noise)),
        errors=predicted * std + mean - rated,
        stds=stds * std,
    )


def _folds_to_train(set_config: SetConfig) -> list[int]:
    """Return the folds that hold no image of the split's test part."""
    rows = read_split(set_config.split).rows if set_config.split is not None else ()
    tested = {row.fold for row in rows if row.part == "test"}
    folds = sorted({row.fold for row in rows if row.fold is not None} - tested)
    if len(folds) < 2:
        raise ConfigError(
            "The split should have two or more folds outside its test part. "
            f"Found {folds} in {set_config.split}."
        )
    return folds


def _targets(config: TrainingConfig, features: RatedFeatures) -> tuple[tuple[str, ...], Array]:
    """Return the names and the (N, T) values of beauty and of the attributes on a scale."""
    names, columns = ["beauty"], [features.votes.numpy() @ SCORES]
    for number, given in enumerate(config.data.attributes):
        attribute = given.attribute()
        if not attribute.classes:
            labels = features.attributes[:, number].double().numpy()
            names.append(attribute.name)
            columns.append(attribute.low + labels * (attribute.high - attribute.low))
    return tuple(names), np.stack(columns, axis=1)


def _standardised(
    features: RatedFeatures, outside: list[int], inside: list[int]
) -> tuple[Array, Array]:
    """Return both sets of features, standardised by mean and spread of the first."""
    pooled = features.pooled.double()
    mean, std = pooled[outside].mean(dim=0), pooled[outside].std(dim=0).clamp(min=1e-3)
    standard = ((pooled - mean) / std).numpy()
    return standard[outside], standard[inside]
