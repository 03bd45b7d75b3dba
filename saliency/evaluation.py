"""Evaluate a Predictor on a labelled set: metrics of each photo, their means and intervals."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ImageError
from saliency.metrics import (
    CenterBias,
    Interval,
    auc,
    auc_shuffled,
    binary_accuracy,
    bootstrap_interval,
    cc,
    emd,
    error_rank,
    information_gain,
    kl_div,
    nss,
    plcc,
    pool_fixations,
    share_within,
    sim,
    srcc,
)
from saliency.types import SCORES, Fixations, Prediction, Sample, Uncertainty

MIDDLE_SCORE = 5.5
"""Middle of 1..10 (and of OASIS's 1..7), the cut of binary accuracy."""

METRICS = ("NSS", "CC", "KLDiv", "SIM", "AUC", "sAUC", "IG")
"""Metrics of maps, in the order of tables."""

SCORE_METRICS = ("SRCC", "PLCC", "accuracy", "EMD")
"""Metrics of scores, in the order of tables."""

ERROR_METRICS = ("error rank", "model rank", "in 1 std", "in 2 std")
"""Metrics of the stated errors of scores: Spearman's correlation of the real errors with
`Uncertainty.score_error_std` and with `score_model_std`, and the share of photos whose error is at
most one and two `score_total_std`."""

MINIMUM_RATED = 2
"""Least number of images for a correlation."""


class PredictsMany(Protocol):
    """The interface of predictors for evaluation, such as `Predictor` and `CenterBiasPredictor`."""

    def predict_many(
        self, images: Iterable[NDArray[np.uint8]], batch_size: int | None
    ) -> Iterator[Prediction]:
        """Yield one prediction for each photo, in order."""


class CenterBiasPredictor:
    """The baseline that ignores the photo: the same density for all, and no score."""

    def __init__(self, center_bias: CenterBias) -> None:
        self._center_bias = center_bias
        self._densities: dict[tuple[int, int], NDArray[np.float32]] = {}

    def predict_many(
        self, images: Iterable[NDArray[np.uint8]], batch_size: int | None = None
    ) -> Iterator[Prediction]:
        """Yield the centre bias at each photo's size."""
        for image in images:
            size = (image.shape[0], image.shape[1])
            if size not in self._densities:
                self._densities[size] = self._center_bias.density(size)
            yield Prediction(size, self._densities[size], None, None, None)


class LabelledImages(Protocol):
    """The interface of a data set for evaluation."""

    @property
    def name(self) -> str: ...  # noqa: D102
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True)
class Measure:
    """One metric over one set.

    Attributes:
        value: Mean over images, or the correlation.
        interval: 95 % bootstrap interval over images; None if it was not requested.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class SetResult:
    """The results of a predictor on one set.

    Attributes:
        name: Name of the set.
        images: Number of images that were evaluated.
        measures: Metric name -> measure.
        skipped: Errors of images that could not be read.
    """

    name: str
    images: int
    measures: dict[str, Measure]
    skipped: tuple[str, ...] = ()


def evaluate(
    predictor: PredictsMany,
    dataset: LabelledImages,
    *,
    center_bias: CenterBias | None = None,
    groups: Sequence[str] | None = None,
    score_cut: float = MIDDLE_SCORE,
    full: bool = True,
    batch_size: int | None = None,
    on_image: Callable[[], None] | None = None,
) -> SetResult:
    """Measure a predictor on a labelled set, every photo in the neutral setting.

    Args:
        predictor: Predictor to measure.
        dataset: Images with fixations, ratings or both.
        center_bias: Baseline of information gain, fitted on training images; without it IG is
            left out.
        groups: One label for each image; images of a group are resampled together.
        score_cut: Score that separates good from bad in binary accuracy.
        full: Also the slower metrics (AUC, sAUC, IG) and bootstrap intervals.
        batch_size: Batch size, as in `Predictor.predict_many`.
        on_image: Called after each photo, for a progress bar.

    Returns:
        Means over images for NSS, CC, KLDiv, SIM, AUC, sAUC, IG; SRCC, PLCC, accuracy and EMD
        of scores; `NAME SRCC` of attributes on a scale and `NAME accuracy` of those with classes;
        `ERROR_METRICS` of the stated errors of scores. A metric whose labels or head are missing
        is left out.
    """
    columns = _Columns()
    skipped: list[str] = []
    others = _OtherFixations(dataset) if full else None
    for index, sample, prediction in predict_set(predictor, dataset, batch_size, skipped.append):
        group = groups[index] if groups is not None else str(index)
        values = measure_map(prediction, sample)
        if full and sample.fixations is not None and prediction.density is not None:
            values |= _measure_slowly(
                prediction.density,
                sample.fixations,
                others.of(index, prediction.image_size) if others else None,
                center_bias,
            )
        columns.add(values, prediction, sample, group)
        if on_image:
            on_image()
    measures = columns.summarize(score_cut, with_intervals=full)
    return SetResult(dataset.name, columns.images, measures, tuple(skipped))


def predict_set(
    predictor: PredictsMany,
    dataset: LabelledImages,
    batch_size: int | None = None,
    on_damaged: Callable[[str], object] | None = None,
) -> Iterator[tuple[int, Sample, Prediction]]:
    """Yield index, sample and prediction of every image of a set.

    Args:
        predictor: Predictor to use.
        dataset: The images.
        batch_size: Batch size, as in `Predictor.predict_many`.
        on_damaged: Called with the reason for each image that cannot be read and is skipped.
    """
    ahead: deque[tuple[int, Sample]] = deque()

    def read_images() -> Iterator[NDArray[np.uint8]]:
        for index in range(len(dataset)):
            try:
                sample = dataset[index]
            except ImageError as error:
                if on_damaged:
                    on_damaged(str(error))
                continue
            ahead.append((index, sample))
            yield sample.image

    for prediction in predictor.predict_many(read_images(), batch_size):
        yield *ahead.popleft(), prediction


def measure_map(prediction: Prediction, sample: Sample) -> dict[str, float]:
    """Return the quick metrics of one predicted density; none without density or label."""
    density = prediction.density
    values: dict[str, float] = {}
    if density is not None and sample.density is not None:
        values["CC"] = cc(density, sample.density)
        values["SIM"] = sim(density, sample.density)
        values["KLDiv"] = kl_div(density, sample.density)
    if density is not None and sample.fixations is not None and len(sample.fixations.xs):
        values["NSS"] = nss(density, sample.fixations)
    return values


def pair_attributes(prediction: Prediction, sample: Sample) -> dict[str, tuple[float, float]]:
    """Return metric -> prediction of an attribute and its label (nan if unknown).

    Empty if the network or the set has no attributes.
    """
    pairs: dict[str, tuple[float, float]] = {}
    if not sample.attributes or not prediction.attributes:
        return pairs
    for estimate, label in zip(prediction.attributes, sample.attributes, strict=True):
        if estimate.probabilities is not None and estimate.label is not None:
            number = list(estimate.probabilities).index(estimate.label)
            pairs[f"{estimate.name} accuracy"] = float(number), label
        elif estimate.value is not None:
            pairs[f"{estimate.name} SRCC"] = estimate.value, label
    return pairs


def measure_attribute(
    metric: str, predicted: NDArray[np.float64], labels: NDArray[np.float64]
) -> float:
    """Return `metric`, named by `pair_attributes`, of (N,) predictions and labels.

    Unknown labels are left out; nan where fewer than two are known.
    """
    known = ~np.isnan(labels)
    if known.sum() < MINIMUM_RATED:
        return float("nan")
    if metric.endswith("accuracy"):
        return float((predicted[known] == labels[known]).mean())
    return srcc(predicted[known], labels[known])


def _measure_slowly(
    density: NDArray[np.float32],
    fixations: Fixations,
    negatives: Fixations | None,
    center_bias: CenterBias | None,
) -> dict[str, float]:
    """Return the metrics that sort all pixels or need other images."""
    if not len(fixations.xs):
        return {}
    values = {"AUC": auc(density, fixations)}
    if negatives is not None and len(negatives.xs):
        values["sAUC"] = auc_shuffled(density, fixations, negatives)
    if center_bias is not None:
        height, width = density.shape
        baseline = center_bias.density((height, width))
        values["IG"] = information_gain(density, fixations, baseline)
    return values


class _OtherFixations:
    """The fixations of all images of a set except one, as negatives of sAUC."""

    def __init__(self, dataset: LabelledImages) -> None:
        self._fixations: list[Fixations] = []
        self._sizes: list[tuple[int, int]] = []
        self._number: dict[int, int] = {}  # index in the set -> number here
        for index in range(len(dataset)):
            try:
                sample = dataset[index]
            except ImageError:
                continue  # `evaluate` reports it
            if sample.fixations is not None:
                self._number[index] = len(self._sizes)
                self._fixations.append(sample.fixations)
                self._sizes.append((sample.image.shape[0], sample.image.shape[1]))

    def of(self, index: int, size: tuple[int, int]) -> Fixations | None:
        """Return those of all images except `index`, stretched to (height, width) `size`."""
        own = self._number[index]
        rest = self._fixations[:own] + self._fixations[own + 1 :]
        sizes = self._sizes[:own] + self._sizes[own + 1 :]
        return pool_fixations(rest, sizes, size) if rest else None


@dataclass
class _Columns:
    """Numbers and groups of images, collected image by image."""

    images: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    value_groups: dict[str, list[str]] = field(default_factory=dict)
    predicted: list[NDArray[np.float32]] = field(default_factory=list)
    rated: list[NDArray[np.float32]] = field(default_factory=list)
    rated_groups: list[str] = field(default_factory=list)
    attributes: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    attribute_groups: dict[str, list[str]] = field(default_factory=dict)
    uncertainties: list[Uncertainty | None] = field(default_factory=list)

    def add(
        self, values: dict[str, float], prediction: Prediction, sample: Sample, group: str
    ) -> None:
        """Add one image."""
        self.images += 1
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)
            self.value_groups.setdefault(name, []).append(group)
        for name, pair in pair_attributes(prediction, sample).items():
            if np.isnan(pair[1]):
                continue
            self.attributes.setdefault(name, []).append(pair)
            self.attribute_groups.setdefault(name, []).append(group)
        if prediction.score_distribution is not None and sample.score_distribution is not None:
            self.predicted.append(prediction.score_distribution)
            self.rated.append(sample.score_distribution)
            self.rated_groups.append(group)
            self.uncertainties.append(prediction.uncertainty)

    def summarize(self, score_cut: float, *, with_intervals: bool) -> dict[str, Measure]:
        """Return each metric's value and interval."""

        def measure(
            statistic: Callable[..., SupportsFloat],
            groups: list[str],
            *values: NDArray[np.float64],
        ) -> Measure:
            interval = (
                bootstrap_interval(statistic, *values, groups=np.array(groups))
                if with_intervals
                else None
            )
            return Measure(float(statistic(*values)), interval)

        measures = {
            name: measure(np.mean, self.value_groups[name], np.array(self.values[name]))
            for name in METRICS
            if name in self.values
        }
        if len(self.predicted) >= MINIMUM_RATED:
            predicted = np.stack(self.predicted).astype(np.float64)
            rated = np.stack(self.rated).astype(np.float64)
            scores = predicted @ SCORES, rated @ SCORES
            groups = self.rated_groups
            measures["SRCC"] = measure(srcc, groups, *scores)
            measures["PLCC"] = measure(plcc, groups, *scores)
            measures["accuracy"] = measure(
                lambda p, t: binary_accuracy(p, t, score_cut), groups, *scores
            )
            measures["EMD"] = measure(emd, groups, predicted, rated)
            errors = scores[0] - scores[1]
            for name, statistic, stds in self._statements():
                measures[name] = measure(statistic, groups, errors, stds)
        for name, pairs in self.attributes.items():
            if len(pairs) >= MINIMUM_RATED:
                estimates, labels = np.array(pairs, np.float64).T
                statistic = partial(measure_attribute, name)
                measures[name] = measure(statistic, self.attribute_groups[name], estimates, labels)
        return measures

    def _statements(self) -> Iterator[tuple[str, Callable[..., float], NDArray[np.float64]]]:
        """Yield name, statistic and (N,) deviations of each available one of `ERROR_METRICS`."""
        known = [uncertainty or Uncertainty() for uncertainty in self.uncertainties]
        error, model, total = (
            [getattr(uncertainty, name) for uncertainty in known]
            for name in ("score_error_std", "score_model_std", "score_total_std")
        )
        columns = (error, model, total, total)
        in_two = partial(share_within, factor=2)
        statistics: tuple[Callable[..., float], ...]
        statistics = (error_rank, error_rank, share_within, in_two)
        for name, statistic, stds in zip(ERROR_METRICS, statistics, columns, strict=True):
            if None not in stds:
                yield name, statistic, np.array(stds, dtype=np.float64)


def fit_center_bias(dataset: LabelledImages) -> CenterBias | None:
    """Return the centre bias of a set's images; None if it has no fixation points."""
    fixations, sizes = [], []
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ImageError:
            continue  # `evaluate` and training name it
        if sample.fixations is not None and len(sample.fixations.xs):
            fixations.append(sample.fixations)
            sizes.append((sample.image.shape[0], sample.image.shape[1]))
    return CenterBias.fit(fixations, sizes) if fixations else None
