"""The study of GradNorm's toy problem as one HTML page that works from disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saliency.charts import (
    IntervalRow,
    Series,
    interval_chart,
    line_chart,
    scatter_chart,
)
from saliency.experiments.gradnorm_study import Study, ToyResult
from saliency.experiments.gradnorm_toy import STRATEGIES
from saliency.files import write_atomically
from saliency.pages import page_templates

PAPERS = ("equal", "uncertainty", "gradnorm")

COUNTS = {2: "Two", 10: "Ten"}
"""Tasks in words, for headings."""

SMALL_WIDTH, SMALL_HEIGHT = 470, 240
"""Pixels of the charts of which there is one a strategy."""

SMALLEST_WEIGHT = 1e-5
"""What smaller weights are drawn at; MGDA's can be 0, which a logarithmic axis has not."""


def write_page(study: Study, path: Path) -> None:
    """Write the page, atomically."""
    environment = page_templates("saliency.experiments")
    text = environment.get_template("gradnorm_toy.html").render(
        study=study,
        strategies=STRATEGIES,
        smallest_weight=SMALLEST_WEIGHT,
        heading=_heading,
        rows=_rows,
        charts=_charts,
    )
    write_atomically(path, text.encode())


def _heading(result: ToyResult) -> str:
    count = len(result.setup.sigmas)
    return f"{COUNTS.get(count, count)} tasks"


def _rows(result: ToyResult) -> list[list[str]]:
    """Return each strategy's name, final score, its range and its average weights, best first."""
    small, large = np.argmin(result.setup.sigmas), np.argmax(result.setup.sigmas)
    rows = []
    for name in _best_first(result):
        final, weights = result.final(name), result.weights(name).mean(axis=0)
        numbers = [f"{value:.3f}" for value in (final.mean(), final.min(), final.max())]
        rows.append([name, *numbers, f"{weights[small]:.4f}", f"{weights[large]:.4f}"])
    return rows


def _best_first(result: ToyResult) -> list[str]:
    return sorted(STRATEGIES, key=lambda name: float(result.final(name).mean()))


def _charts(result: ToyResult) -> dict[str, str | list[str]]:
    return {
        "finals": _finals(result),
        "scores": [
            _scores(result, STRATEGIES, "Score over steps, mean over seeds"),
            _scores(result, PAPERS, "The same for the strategies that the paper compares"),
        ],
        "weights": [_weights(result, name) for name in STRATEGIES],
        "statics": _statics(result),
        "alphas": _alphas(result),
    }


def _finals(result: ToyResult) -> str:
    rows = []
    for name in _best_first(result):
        values = result.final(name)
        rows.append(IntervalRow(name, values.mean(), values.min(), values.max()))
    return interval_chart(
        rows,
        title="Final score: mean and range over seeds",
        x_label="sum of test losses, each divided by its first; lower is better",
    )


def _scores(result: ToyResult, names: Sequence[str], title: str) -> str:
    steps = result.histories[0].steps.tolist()
    return line_chart(
        [Series(name, steps, result.scores(name).tolist()) for name in names],
        title=title,
        x_label="step",
        y_label="sum of L(t) / L(0)",
        log_y=True,
    )


def _weights(result: ToyResult, strategy: str) -> str:
    weights = result.weights(strategy).clip(min=SMALLEST_WEIGHT)
    middles = (result.histories[0].steps[1:] - result.setup.epoch_steps / 2).tolist()
    return line_chart(
        [
            Series(task, middles, weights[:, index].tolist())
            for index, task in enumerate(result.setup.tasks)
        ],
        title=strategy,
        x_label="step",
        y_label="weight",
        log_y=True,
        width=SMALL_WIDTH,
        height=SMALL_HEIGHT,
    )


def _statics(result: ToyResult) -> str:
    statics, first = result.statics, result.histories[0]
    gradnorm, equal = (STRATEGIES.index(name) for name in ("gradnorm", "equal"))
    apart = np.linalg.norm(first.mean_weights[equal] - first.mean_weights[gradnorm])
    return scatter_chart(
        [
            Series("random static weights", statics.distances.tolist(), statics.scores.tolist()),
            Series("GradNorm", [0.0], [float(first.final[gradnorm])]),
            Series("its average weights, static", [0.0], [statics.at_mean]),
            Series("equal", [float(apart)], [float(first.final[equal])]),
        ],
        title="Static weights: distance from GradNorm's time-averaged weights, and score (seed 0)",
        x_label="Euclidean distance of the weights, which sum to the number of tasks",
        y_label="final score",
    )


def _alphas(result: ToyResult) -> str:
    alphas = [run.alpha for run in result.alphas]
    return line_chart(
        [
            Series(task, alphas, [float(run.weights[index]) for run in result.alphas])
            for index, task in enumerate(result.setup.tasks)
        ],
        title="GradNorm's time-averaged weights by alpha (seed 0)",
        x_label="alpha",
        y_label="weight",
        log_y=True,
    )
