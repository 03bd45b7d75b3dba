"""Metrics of one saliency map, by the conventions of the MIT/Tuebingen benchmark.

Each function takes one image and returns one number; a table shows the mean over images.
`prediction` and `saliency_map` are (H, W) on any scale unless a density is required. Fixations
are points in the pixels of the map, each repeat counts, those outside the frame are dropped.

Source: Bylinskii et al., "What do different evaluation metrics tell us about saliency models?",
TPAMI 2019; Kümmerer et al., "Saliency benchmarking made easy", ECCV 2018.
"""

import numpy as np
from numpy.typing import NDArray

from saliency.fixations import to_fixation_map
from saliency.metrics.correlation import pearson, standardize
from saliency.types import Fixations

KL_EPS = 2.2204e-16
"""The MIT benchmark's floor under both densities of `kl_div`; another floor, another number."""

SUM_TOLERANCE = 1e-3
"""Largest difference of a density's sum from 1: .0014 bits of information gain."""


def nss(saliency_map: NDArray[np.floating], fixations: Fixations) -> float:
    """Normalized scanpath saliency: the mean z-score of the map at the fixations.

    `NSS = mean_i (S(x_i, y_i) - mean(S)) / std(S)`; 0 is chance, and a constant map has 0.

    Raises:
        ValueError: The map is not 2-D and finite, or no fixation lies inside it.

    Source: Peters et al., "Components of bottom-up gaze allocation in natural images", 2005.
    """
    values = _check_map("saliency_map", saliency_map)
    return float(_values_at("fixations", standardize(values), fixations).mean())


def cc(prediction: NDArray[np.floating], target: NDArray[np.floating]) -> float:
    """Correlation coefficient: Pearson's, over pixels, -1..1; 0 if either map is constant.

    Raises:
        ValueError: The maps differ in shape, or one is not 2-D and finite.
    """
    predicted = _check_map("prediction", prediction)
    target = _check_map("target", target)
    _check_same_shape("prediction", predicted, target)
    return pearson(predicted, target)


def sim(prediction: NDArray[np.floating], target: NDArray[np.floating]) -> float:
    """Similarity: the mass two densities share, 0..1.

    `SIM = sum min(P, G)`, where P and G are the arguments scaled to sum 1; all zeros count as
    the uniform density.

    Raises:
        ValueError: The maps differ in shape, or one is not 2-D, finite and non-negative.

    Note: Some tools stretch both maps to 0..1 first, which changes the number.
    """
    predicted, target = _to_densities(prediction, target)
    return float(np.minimum(predicted, target).sum())


def kl_div(prediction: NDArray[np.floating], target: NDArray[np.floating]) -> float:
    """Kullback-Leibler divergence of the prediction from the target, in nats, MIT form.

    `KLDiv = sum G log(eps + G / (P + eps))`, where P and G are prediction and target scaled to
    sum 1 (all zeros count as the uniform density) and eps is `KL_EPS`. 0 is best. Swapping the
    arguments gives another number.

    Raises:
        ValueError: The maps differ in shape, or one is not 2-D, finite and non-negative.
    """
    predicted, target = _to_densities(prediction, target)
    return float(np.sum(target * np.log(KL_EPS + target / (predicted + KL_EPS))))


def auc(saliency_map: NDArray[np.floating], fixations: Fixations) -> float:
    """Area under the ROC curve of fixations against all pixels; .5 is chance.

    This is the probability that the map is higher at a random fixation than at a random pixel; ties
    count half.

    Raises:
        ValueError: The map is not 2-D and finite, or no fixation lies inside it.

    Note: AUC-Judd leaves the fixated pixels out of the negatives and reads a little higher.
    """
    values = _check_map("saliency_map", saliency_map)
    return _chance_of_higher(_values_at("fixations", values, fixations), values.ravel())


def auc_shuffled(
    saliency_map: NDArray[np.floating], fixations: Fixations, other_fixations: Fixations
) -> float:
    """Shuffled AUC: like `auc`, but with the fixations of other images as negatives.

    A map that only knows the centre bias gets about .5.

    Args:
        saliency_map: (H, W), any scale.
        fixations: Points of this image.
        other_fixations: Points of the other images, in this image's frame (`pool_fixations`).

    Raises:
        ValueError: The map is not 2-D and finite, or holds no point of either kind.

    Source: Zhang et al., "SUN: a Bayesian framework for saliency using natural statistics", 2008.
    """
    values = _check_map("saliency_map", saliency_map)
    return _chance_of_higher(
        _values_at("fixations", values, fixations),
        _values_at("other_fixations", values, other_fixations),
    )


def information_gain(
    density: NDArray[np.floating],
    fixations: Fixations,
    center_bias_density: NDArray[np.floating],
) -> float:
    """Information gain: how much better than the centre bias a density predicts, bits per fixation.

    `IG = mean_i log2 P(x_i, y_i) - log2 B(x_i, y_i)`.

    Args:
        density: (H, W), >= 0, sums to 1. Minus infinity comes back if it is 0 at a fixation.
        fixations: Points of this image.
        center_bias_density: (H, W), sums to 1, > 0 at the fixations (`CenterBias`).

    Raises:
        ValueError: A density is none or they differ in shape, the centre bias is 0 at a fixation,
            or no fixation lies inside the frame.

    Source: Kümmerer, Wallis, Bethge, "Information-theoretic model comparison unifies saliency
    metrics", PNAS 2015.
    """
    predicted = _check_sums_to_1("density", _check_non_negative("density", density))
    baseline = _check_sums_to_1(
        "center_bias_density", _check_non_negative("center_bias_density", center_bias_density)
    )
    _check_same_shape("density", predicted, baseline)
    predicted_at = _values_at("fixations", predicted, fixations)
    baseline_at = _values_at("fixations", baseline, fixations)
    if not baseline_at.all():
        raise ValueError(
            "`center_bias_density` should be positive at every fixation. "
            f"Found 0 at {np.count_nonzero(baseline_at == 0)} of {baseline_at.size}."
        )
    with np.errstate(divide="ignore"):
        return float(np.mean(np.log2(predicted_at) - np.log2(baseline_at)))


def _chance_of_higher(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """Return the area under the ROC: P(a positive exceeds a negative), ties counted half."""
    ranked = np.sort(positives)  # the shorter list; the longer one needs no sorting
    below = np.searchsorted(ranked, negatives, side="left")
    not_above = np.searchsorted(ranked, negatives, side="right")
    return float(1 - np.mean((below + not_above) / 2) / ranked.size)


def _values_at(name: str, values: NDArray[np.float64], fixations: Fixations) -> NDArray[np.float64]:
    """Return the (N,) values under the fixations inside the frame, in order of pixels."""
    height, width = values.shape
    counts = to_fixation_map(fixations, (height, width)).astype(np.int64)
    if not counts.any():
        raise ValueError(
            f"`{name}` should hold at least one point inside (height, width) {values.shape}. "
            f"Found {len(fixations.xs)} points, none inside."
        )
    return np.repeat(values.ravel(), counts.ravel())


def _to_densities(
    prediction: NDArray[np.floating], target: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    predicted = _check_non_negative("prediction", prediction)
    target = _check_non_negative("target", target)
    _check_same_shape("prediction", predicted, target)
    return _scale_to_sum_1(predicted), _scale_to_sum_1(target)


def _scale_to_sum_1(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = values.sum()
    return values / total if total > 0 else np.full_like(values, 1 / values.size)


def _check_map(name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
    if values.ndim != 2:
        raise ValueError(f"`{name}` should have shape (height, width). Found {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` should be finite. "
            f"Found {np.count_nonzero(~np.isfinite(values))} NaN or infinite pixels."
        )
    return values.astype(np.float64)


def _check_non_negative(name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
    checked = _check_map(name, values)
    if (checked < 0).any():
        raise ValueError(f"`{name}` should be non-negative. Found {checked.min():.4g}.")
    return checked


def _check_sums_to_1(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if abs(values.sum() - 1) > SUM_TOLERANCE:
        raise ValueError(f"`{name}` should sum to 1. Found {values.sum():.4g}.")
    return values


def _check_same_shape(
    name: str, prediction: NDArray[np.float64], target: NDArray[np.float64]
) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"`{name}` should have the target's shape {target.shape}. Found {prediction.shape}."
        )
