"""The findings of a study: one JSON file, and the content of the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from saliency.experiments.ablation.compare import (
    SCORE_METRIC,
    Answer,
    Estimate,
    by_arm,
    compare,
    metrics_of,
    pareto_front,
    point,
    summarize,
)
from saliency.experiments.ablation.measure import RunResult
from saliency.experiments.ablation.study import Study
from saliency.files import write_atomically


@dataclass(frozen=True)
class Point:
    """One run's own metrics: means over sets and images."""

    repetition: int
    fold: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class ArmFindings:
    """The results of one arm.

    Attributes:
        name: Name of the arm.
        about: Description of the arm.
        repetitions: Number of finished repetitions.
        metrics: Metric -> mean with interval.
        runs: One point for each run.
        train: Means over the runs of the values that training logged in the last epoch.
        gap: Task -> mean over the runs of validation loss minus training loss.
        parameters: Number of parameters of the network.
        minutes: Mean time of a run.
        gflop: Billions of floating-point operations of the network for one photo; 0 if unknown.
        training: `gflop` times steps, relative to the study's first arm; 0 if unknown.
        learned: What the sharing scheme of the first run learned about the tasks.
    """

    name: str
    about: str
    repetitions: int
    metrics: dict[str, Estimate]
    runs: list[Point]
    train: dict[str, float]
    gap: dict[str, float]
    parameters: int
    minutes: float
    gflop: float
    training: float
    learned: dict[str, Any]


@dataclass(frozen=True)
class Findings:
    """The findings of a study so far.

    Attributes:
        about: The study's description.
        arms: Arms that have results.
        answers: One answer for each comparison.
        finished: Number of finished runs.
        planned: Number of runs in the study.
        commits: Commit of the code -> number of runs.
        overrides: Values of the recipe that all arms change.
        base: Name of the recipe.
        front: Arms with both tasks on the Pareto front, over the repetitions that all of them
            have.
    """

    about: str
    arms: list[ArmFindings]
    answers: list[Answer]
    finished: int
    planned: int
    commits: dict[str, int]
    overrides: dict[str, object]
    base: str
    front: list[str]

    def save(self, path: Path) -> None:
        """Write everything as JSON, atomically."""
        write_atomically(path, json.dumps(asdict(self), indent=1).encode())


def find(study: Study, results: Sequence[RunResult]) -> Findings:
    """Summarise the arms and answer the questions from the finished runs."""
    arms = by_arm(study.file, results)
    work = _training_work(next(iter(arms.values()))) if arms else 0.0
    found = [_arm(study.arm(name).about, runs, work) for name, runs in arms.items()]
    return Findings(
        about=study.file.about,
        arms=found,
        answers=[compare(comparison, arms) for comparison in study.file.comparisons],
        finished=len(results),
        planned=len(list(study.runs())),
        commits=dict(Counter(result.commit for result in results)),
        overrides=study.file.overrides,
        base=study.file.base.name,
        front=_front(found),
    )


def _front(arms: Sequence[ArmFindings]) -> list[str]:
    """Return the Pareto front of the arms with both tasks, over their common repetitions."""
    both = [arm for arm in arms if {"CC", SCORE_METRIC} <= arm.metrics.keys()]
    repetitions = [{run.repetition for run in arm.runs} for arm in both]
    shared = set.intersection(*repetitions) if repetitions else set()
    if not shared:
        return []

    def mean(arm: ArmFindings, metric: str) -> float:
        return fmean(run.metrics[metric] for run in arm.runs if run.repetition in shared)

    return pareto_front({arm.name: (mean(arm, "CC"), mean(arm, SCORE_METRIC)) for arm in both})


def _training_work(runs: Sequence[RunResult]) -> float:
    """Return the cost of one training: forward passes of a photo times their operations."""
    return float(runs[0].flops * runs[0].steps)


def _arm(about: str, runs: Sequence[RunResult], work: float) -> ArmFindings:
    return ArmFindings(
        name=runs[0].arm,
        about=about,
        repetitions=len(runs),
        metrics=summarize(runs),
        runs=[
            Point(run.repetition, run.fold, {m: point(run, m) for m in metrics_of([run])})
            for run in runs
        ],
        train=_means([run.train for run in runs]),
        gap=_means([run.gap for run in runs]),
        parameters=runs[0].parameters,
        minutes=fmean(run.seconds for run in runs) / 60,
        gflop=runs[0].flops / 1e9,
        training=_training_work(runs) / work if work else 0.0,
        learned=runs[0].learned,
    )


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each key that all rows have."""
    keys = [key for key in rows[0] if all(key in row for row in rows)]
    return {key: fmean(row[key] for row in rows) for key in keys}
