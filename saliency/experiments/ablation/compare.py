"""Compare runs: the metrics of each arm, and differences between arms with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from saliency.evaluation import measure_attribute
from saliency.experiments.ablation.measure import RunResult, SetMeasures
from saliency.experiments.ablation.study import Comparison, StudyFile
from saliency.metrics import Interval, srcc

MAP_METRICS = ("CC", "NSS", "KLDiv", "SIM")
SCORE_METRIC = "SRCC"
METRICS = (*MAP_METRICS, SCORE_METRIC)
"""Metrics of the two main tasks; attributes have `NAME SRCC` or `NAME accuracy`."""
LOWER_IS_BETTER = ("KLDiv",)

RESAMPLES = 2000
MINIMUM_RATED = 3
"""Least number of images for a rank correlation."""

Rows = Mapping[str, NDArray[np.int64]]
"""Set name -> numbers of its images in a resample, drawn with repetition."""


@dataclass(frozen=True)
class Estimate:
    """A mean over repetitions, or a difference of two, with its 95 % interval."""

    value: float
    interval: Interval
    repetitions: int


@dataclass(frozen=True)
class Answer:
    """The answer of two arms to a question.

    Attributes:
        question: Whether `arm` does better than `against`.
        arm: Name of the arm in question.
        against: Name of the arm that it is compared with.
        differences: Metric -> arm minus against, over the repetitions that both have.
    """

    question: str
    arm: str
    against: str
    differences: dict[str, Estimate]

    def in_words(self) -> str:
        """Return the deciding differences (CC for saliency, SRCC for scores) as a sentence."""
        parts = []
        for metric, task in (("CC", "saliency"), (SCORE_METRIC, "aesthetics")):
            if metric in self.differences:
                found = self.differences[metric]
                low, high = found.interval
                parts.append(
                    f"{task}: {verdict(metric, found)} ({metric} {found.value:+.4f} "
                    f"[{low:+.4f}, {high:+.4f}], n = {found.repetitions})"
                )
        return "; ".join(parts) or "not measured yet"


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names of the points on the Pareto front of two values."""

    def beaten(mine: tuple[float, float]) -> bool:
        return any(
            other[0] >= mine[0] and other[1] >= mine[1] and other != mine
            for other in points.values()
        )

    return [name for name, values in points.items() if not beaten(values)]


def verdict(metric: str, difference: Estimate) -> str:
    """Return the meaning of a difference: better, worse, or not distinguishable from 0."""
    low, high = difference.interval
    if metric in LOWER_IS_BETTER:
        low, high = -high, -low
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "no difference found"


def summarize(results: Sequence[RunResult]) -> dict[str, Estimate]:
    """Return each metric of one arm's runs: its mean over sets, images and repetitions."""
    metrics = metrics_of(results)
    return _bootstrap(results, metrics, lambda run, rows: _values(run, metrics, rows))


def compare(comparison: Comparison, results: Mapping[str, Sequence[RunResult]]) -> Answer:
    """Answer one question from the repetitions that both arms have finished."""
    pairs = _pairs(results.get(comparison.arm, ()), results.get(comparison.against, ()))
    metrics = metrics_of([run for pair in pairs for run in pair])
    other_of = {run.repetition: other for run, other in pairs}

    def difference(run: RunResult, rows: Rows) -> NDArray[np.float64]:
        return _values(run, metrics, rows) - _values(other_of[run.repetition], metrics, rows)

    differences = _bootstrap([run for run, _ in pairs], metrics, difference)
    return Answer(comparison.question, comparison.arm, comparison.against, differences)


def metrics_of(results: Sequence[RunResult]) -> list[str]:
    """Return the metrics that all given runs have."""
    if not results:
        return []
    of_attributes = dict.fromkeys(m for s in results[0].sets.values() for m in s.attributes)
    return [
        metric for metric in (*METRICS, *of_attributes) if all(has(run, metric) for run in results)
    ]


def by_arm(study: StudyFile, results: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Return the results of each arm that has any, in the study's order."""
    found = {arm.name: [r for r in results if r.arm == arm.name] for arm in study.arms}
    return {name: runs for name, runs in found.items() if runs}


def _pairs(
    runs: Sequence[RunResult], others: Sequence[RunResult]
) -> list[tuple[RunResult, RunResult]]:
    """Return the runs of both arms by repetition; each pair saw and left out the same images."""
    by_repetition = {other.repetition: other for other in others}
    return [(run, by_repetition[run.repetition]) for run in runs if run.repetition in by_repetition]


def _bootstrap(
    runs: Sequence[RunResult],
    metrics: Sequence[str],
    statistics: Callable[[RunResult, Rows], NDArray[np.float64]],
) -> dict[str, Estimate]:
    """Return means over runs with intervals from resampling runs and their images.

    Resampling has two levels, like the data: repetitions are drawn first, then in each the images
    of each set, whole themes where images are not independent.

    Source: Davison, Hinkley, "Bootstrap methods and their application" (1997), section 3.8.
    """
    if not metrics:
        return {}
    values = np.mean([statistics(run, _all_rows(run)) for run in runs], axis=0)
    random = np.random.default_rng(0)
    estimates = np.empty((RESAMPLES, len(metrics)))
    for i in range(RESAMPLES):
        drawn = [runs[r] for r in random.integers(len(runs), size=len(runs))]
        estimates[i] = np.mean(
            [
                statistics(run, {name: _draw(random, m) for name, m in run.sets.items()})
                for run in drawn
            ],
            axis=0,
        )
    # A resample may hold too few labels of an attribute that few images have.
    low, high = np.nanquantile(estimates, [0.025, 0.975], axis=0)
    return {
        metric: Estimate(float(values[m]), Interval(float(low[m]), float(high[m])), len(runs))
        for m, metric in enumerate(metrics)
    }


def point(run: RunResult, metric: str) -> float:
    """Return a metric of one run: the mean over sets of the mean over images."""
    return float(_values(run, [metric], _all_rows(run))[0])


def _all_rows(run: RunResult) -> Rows:
    return {name: np.arange(len(measures.images)) for name, measures in run.sets.items()}


def _draw(random: np.random.Generator, measures: SetMeasures) -> NDArray[np.int64]:
    """Return a resample of a set's images, or of their themes."""
    if not measures.groups:
        count = len(measures.images)
        return random.integers(count, size=count)
    _, group_of_row = np.unique(measures.groups, return_inverse=True)
    groups = int(group_of_row.max()) + 1
    counts = np.bincount(random.integers(groups, size=groups), minlength=groups)
    return np.repeat(np.arange(len(group_of_row)), counts[group_of_row])


def has(run: RunResult, metric: str) -> bool:
    """Return whether a run was measured by `metric`."""
    if metric == SCORE_METRIC:
        return any(measures.scores for measures in run.sets.values())
    return any(metric in m.maps or metric in m.attributes for m in run.sets.values())


def _values(run: RunResult, metrics: Sequence[str], rows: Rows) -> NDArray[np.float64]:
    """Return metrics over some of a run's images: means over sets with equal weights."""
    return np.array([fmean(_of_each_set(run, metric, rows)) for metric in metrics])


def _of_each_set(run: RunResult, metric: str, rows: Rows) -> list[float]:
    values = []
    for name, measures in run.sets.items():
        if metric == SCORE_METRIC and len(measures.scores) >= MINIMUM_RATED:
            predicted, rated = np.array(measures.scores), np.array(measures.ratings)
            values.append(srcc(predicted[rows[name]], rated[rows[name]]))
        elif metric in measures.maps:
            values.append(float(np.array(measures.maps[metric])[rows[name]].mean()))
        elif metric in measures.attributes:
            predicted, labels = np.array(measures.attributes[metric])
            values.append(measure_attribute(metric, predicted[rows[name]], labels[rows[name]]))
    return values
