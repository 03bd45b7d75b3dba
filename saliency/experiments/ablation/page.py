"""A study's findings as one HTML page that works from disk: answers, tables, charts."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

from saliency.experiments.ablation.compare import METRICS, SCORE_METRIC, Answer, Estimate
from saliency.experiments.ablation.findings import ArmFindings, Findings
from saliency.experiments.charts import IntervalRow, Series, interval_chart, scatter_chart
from saliency.files import write_atomically
from saliency.pages import page_templates

DECIDING = {"CC": "saliency", SCORE_METRIC: "aesthetics"}
"""The metric that decides each task."""


def write_page(findings: Findings, path: Path) -> None:
    """Write the page, atomically."""
    environment = page_templates("saliency.experiments.ablation")
    environment.filters["interval"] = _interval
    environment.filters["pretty"] = _pretty
    text = environment.get_template("report.html").render(
        findings=findings,
        metrics=_metrics(findings.arms),
        costs=[chart for metric in DECIDING for chart in _costs(findings.arms, metric)],
        charts=[chart for metric in DECIDING for chart in _charts(findings, metric)],
        pareto=_pareto(findings.arms),
        log_rows=[(arm.name, _logged(arm)) for arm in findings.arms],
        logged=_logged_names(findings.arms),
    )
    write_atomically(path, text.encode())


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    low, high = estimate.interval
    return f"{estimate.value:.3f} [{low:.3f}, {high:.3f}]"


def _pretty(learned: dict[str, Any]) -> str:
    """Return lines of names and rounded numbers."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: rounded(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [rounded(inner) for inner in value]
        return round(value, 3) if isinstance(value, float) else value

    lines = []
    for name, value in learned.items():
        rows = value if isinstance(value, list) else [value]
        lines += [name, *(f"  {json.dumps(rounded(row))}" for row in rows)]
    return "\n".join(lines)


def _charts(findings: Findings, metric: str) -> list[str]:
    """Return charts of the differences and the values of one metric, if there are any."""
    charts = []
    differences = [
        IntervalRow(_name(answer), found.value, *found.interval)
        for answer in findings.answers
        if (found := answer.differences.get(metric)) is not None
    ]
    if differences:
        charts.append(
            interval_chart(
                differences,
                title=f"{DECIDING[metric].capitalize()}: differences between arms",
                x_label=f"difference in {metric}, 95 % interval; right of 0 is better",
                zero=True,
            )
        )
    levels = [
        IntervalRow(arm.name, arm.metrics[metric].value, *arm.metrics[metric].interval)
        for arm in findings.arms
        if metric in arm.metrics
    ]
    if levels:
        charts.append(
            interval_chart(
                levels,
                title=f"{DECIDING[metric].capitalize()}: every arm by itself",
                x_label=f"{metric}, 95 % interval; arms share images, so see the differences above",
            )
        )
    return charts


def _metrics(arms: list[ArmFindings]) -> list[str]:
    """Return the metrics that any arm has, the main tasks' first."""
    measured = dict.fromkeys(metric for arm in arms for metric in arm.metrics)
    return list(dict.fromkeys(m for m in (*METRICS, *measured) if m in measured))


def _costs(arms: list[ArmFindings], metric: str) -> list[str]:
    """Return a chart of a metric against the network's cost, if arms differ in cost."""
    known = [arm for arm in arms if arm.gflop and metric in arm.metrics]
    costs = [arm.gflop for arm in known]
    if not costs or max(costs) < 1.01 * min(costs):  # guidance alone hardly changes the cost
        return []
    return [
        scatter_chart(
            [Series(arm.name, [arm.gflop], [arm.metrics[metric].value]) for arm in known],
            title=f"{DECIDING[metric].capitalize()} against cost; upper left is better",
            x_label="billions of operations for a photo",
            y_label=metric,
        )
    ]


def _name(answer: Answer) -> str:
    return f"{answer.arm} – {answer.against}"


def _pareto(arms: list[ArmFindings]) -> str | None:
    """Return every run of the arms with both tasks as a point, or None without such arms."""
    both = [arm for arm in arms if all(metric in arm.metrics for metric in DECIDING)]
    if not both:
        return None
    # Folds differ in difficulty: each point is shown relative to its fold's mean.
    fold_means = {
        metric: {
            fold: fmean(r.metrics[metric] for arm in both for r in arm.runs if r.fold == fold)
            for fold in {r.fold for arm in both for r in arm.runs}
        }
        for metric in DECIDING
    }
    series = [
        Series(
            arm.name,
            [r.metrics["CC"] - fold_means["CC"][r.fold] for r in arm.runs],
            [r.metrics[SCORE_METRIC] - fold_means[SCORE_METRIC][r.fold] for r in arm.runs],
        )
        for arm in both
    ]
    return scatter_chart(
        series,
        title="Saliency against aesthetics, every run a point; upper right is better",
        x_label="CC minus the fold's mean over arms",
        y_label=f"{SCORE_METRIC} minus the fold's mean",
    )


def _logged_names(arms: list[ArmFindings]) -> list[str]:
    """Return the logged values that a reader may want: weights, cosines, losses, gaps."""
    wanted = ("share/", "cosine/", "loss/")
    names = dict.fromkeys(name for arm in arms for name in arm.train if name.startswith(wanted))
    gaps = dict.fromkeys(f"gap/{task}" for arm in arms for task in arm.gap)
    return [*names, *gaps]


def _logged(arm: ArmFindings) -> dict[str, float]:
    return arm.train | {f"gap/{task}": gap for task, gap in arm.gap.items()}
