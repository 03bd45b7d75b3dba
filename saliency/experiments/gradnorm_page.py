"""Report on GradNorm's toy problem, as JSON and as a page: the paper's claims and the findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.experiments.charts import (
    IntervalRow,
    Series,
    interval_chart,
    line_chart,
    scatter_chart,
)
from saliency.experiments.gradnorm_toy import STRATEGIES, Study, ToyResult
from saliency.files import write_atomically
from saliency.pages import page_templates

PAPERS = ("equal", "uncertainty", "gradnorm")
"""Strategies that the paper compares."""

COUNTS = {2: "Two", 10: "Ten"}
"""Numbers of tasks in words, for headings."""

SMALL_WIDTH, SMALL_HEIGHT = 470, 240
"""Size in pixels of the charts of single strategies."""

SMALLEST_WEIGHT = 1e-5
"""Smaller weights are drawn here; MGDA's can be 0, which a logarithmic axis cannot show."""

Verdict = Literal["holds", "mixed", "does not hold"]


class Expectation(NamedTuple):
    """A claim of the paper, and what was found."""

    claim: str
    verdict: Verdict
    found: str


def judge(result: ToyResult) -> list[Expectation]:
    """Return the paper's claims, and whether they hold here.

    A claim about strategies holds if it holds with every seed, and does not if with none.
    """
    return [*_judge_strategies(result), *_judge_weights(result)]


def _verdict(so: Sequence[bool] | NDArray[np.bool_]) -> Verdict:
    return "holds" if all(so) else "mixed" if any(so) else "does not hold"


def _judge_strategies(result: ToyResult) -> Iterator[Expectation]:
    """Yield the paper's claims about GradNorm and other strategies."""
    gradnorm = result.final("gradnorm")
    for name, words in (("equal", "equal weights"), ("uncertainty", "uncertainty weighting")):
        other = result.final(name)
        lower = gradnorm < other
        yield Expectation(
            f"GradNorm ends below {words}.",
            _verdict(lower),
            f"{gradnorm.mean():.3f} against {other.mean():.3f} on average, "
            f"lower with {lower.sum()} of {len(lower)} seeds",
        )
    runs = [STRATEGIES.index(name) for name in ("uncertainty", "gradnorm")]
    early = np.array([h.scores[max(1, len(h.scores) // 10), runs] for h in result.histories])
    ahead, behind = early[:, 0] < early[:, 1], result.final("uncertainty") > gradnorm
    yield Expectation(
        "Uncertainty weighting is ahead of GradNorm at first and behind it in the end.",
        _verdict(ahead & behind),
        f"ahead after a tenth of the steps with {ahead.sum()} of {len(ahead)} seeds "
        f"({early[:, 0].mean():.3f} against {early[:, 1].mean():.3f}), "
        f"behind at the end with {behind.sum()}",
    )


def _judge_weights(result: ToyResult) -> Iterator[Expectation]:
    """Yield the paper's claims about GradNorm's weights and about constant ones."""
    sigmas, run, statics = result.setup.sigmas, STRATEGIES.index("gradnorm"), result.statics
    weights = np.array([history.mean_weights[run] for history in result.histories])
    small, large = weights[:, np.argmin(sigmas)], weights[:, np.argmax(sigmas)]
    yield Expectation(
        "GradNorm gives the task with the smallest sigma more weight than that with the largest.",
        _verdict(small > large),
        f"{small.mean():.3g} against {large.mean():.3g} on average over time and seeds",
    )
    spreads = ", ".join(f"{run.spread:.2f} at {run.alpha:g}" for run in result.alphas)
    yield Expectation(
        "A larger alpha spreads GradNorm's weights further apart.",
        _verdict([after.spread > before.spread for before, after in pairwise(result.alphas)]),
        f"the standard deviation of log weights over tasks is {spreads}",
    )
    (low, high), count = statics.interval, len(statics.scores)
    yield Expectation(
        "Random static weights do better the nearer they are to GradNorm's time-averaged ones.",
        "holds" if low > 0 else "does not hold" if high < 0 else "mixed",
        f"Spearman's correlation of distance and score is {statics.correlation:.2f} "
        f"[{low:.2f}, {high:.2f}] over {count} weightings",
    )
    best = int(statics.scores.argmin())
    rank = int((statics.distances < statics.distances[best]).sum()) + 1
    yield Expectation(
        "The best of the random static weightings is near GradNorm's time-averaged weights.",
        "holds" if rank <= count / 10 else "does not hold" if rank > count / 2 else "mixed",
        f"it is number {rank} of {count} in nearness and scores {statics.scores[best]:.3f}; "
        f"GradNorm with the same seed {result.final('gradnorm')[0]:.3f}, "
        f"its average weights held constant {statics.at_mean:.3f}",
    )


def to_sentences(study: Study) -> list[str]:
    """Return a sentence for each variant of the choices, on GradNorm beside other strategies."""
    sentences = []
    for name, scores in study.variants.items():
        others = [
            f"{'below' if scores['gradnorm'] < scores[other] else 'not below'} {other} "
            f"({scores[other]:.3f})"
            for other in ("equal", "uncertainty")
        ]
        best = min(scores, key=lambda strategy: scores[strategy])
        sentences.append(
            f"{name}: GradNorm ends at {scores['gradnorm']:.3f}, {' and '.join(others)}; "
            f"the lowest is {best} ({scores[best]:.3f})"
        )
    return sentences


def to_json(study: Study) -> dict[str, Any]:
    """Return all results for programs, but not the weights of each epoch and seed."""
    return {
        "seeds": study.plan.seeds,
        "problems": [_result_to_json(result) for result in study.results],
        "variants_seed_0": study.variants,
    }


def _result_to_json(result: ToyResult) -> dict[str, Any]:
    statics = result.statics
    return {
        "setup": asdict(result.setup),
        "saturated": round(result.saturated, 4),
        "steps": result.histories[0].steps.tolist(),
        "strategies": {
            name: {
                "final_scores": _short(result.final(name)),
                "scores": [_short(h.scores[:, run]) for h in result.histories],
                "weights": _short(_weights_of(result, name)),
                "mean_weights": [_short(h.mean_weights[run]) for h in result.histories],
            }
            for run, name in enumerate(STRATEGIES)
        },
        "statics": {
            "weights": _short(statics.weights),
            "scores": _short(statics.scores),
            "distances": _short(statics.distances),
            "spearman": [statics.correlation, *statics.interval],
            "score_of_gradnorm_mean_weights": statics.at_mean,
        },
        "alphas": [r._asdict() | {"weights": _short(r.weights)} for r in result.alphas],
        "expectations": [expectation._asdict() for expectation in judge(result)],
    }


def _short(values: NDArray[np.float64]) -> Any:
    """Return nested lists with five significant digits."""
    return np.vectorize(lambda v: float(f"{v:.5g}"))(values).tolist()


def write_page(study: Study, path: Path) -> None:
    """Write the page, atomically."""
    environment = page_templates("saliency.experiments")
    text = environment.get_template("gradnorm_toy.html").render(
        study=study,
        strategies=STRATEGIES,
        smallest_weight=SMALLEST_WEIGHT,
        sentences=to_sentences(study),
        judge=judge,
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
        final, weights = result.final(name), _weights_of(result, name).mean(axis=0)
        numbers = [f"{value:.3f}" for value in (final.mean(), final.min(), final.max())]
        rows.append([name, *numbers, f"{weights[small]:.4f}", f"{weights[large]:.4f}"])
    return rows


def _best_first(result: ToyResult) -> list[str]:
    return sorted(STRATEGIES, key=lambda name: float(result.final(name).mean()))


def _weights_of(result: ToyResult, strategy: str) -> NDArray[np.float64]:
    """Return (E, K) weights over time, mean over seeds."""
    run = STRATEGIES.index(strategy)
    return np.asarray(np.mean([h.weights[:, run] for h in result.histories], axis=0))


def _charts(result: ToyResult) -> dict[str, str | list[str]]:
    finals = [
        IntervalRow(name, final.mean(), final.min(), final.max())
        for name, final in ((name, result.final(name)) for name in _best_first(result))
    ]
    return {
        "finals": interval_chart(
            finals,
            title="Final score: mean and range over seeds",
            x_label="sum of test losses, each divided by its first; lower is better",
        ),
        "scores": [
            _scores(result, STRATEGIES, "Score over steps, mean over seeds"),
            _scores(result, PAPERS, "The same for the strategies that the paper compares"),
        ],
        "weights": [_weights(result, name) for name in STRATEGIES],
        "statics": _statics(result),
        "alphas": _by_task(
            result,
            [run.alpha for run in result.alphas],
            np.array([run.weights for run in result.alphas]),
            title="GradNorm's time-averaged weights by alpha (seed 0)",
            x_label="alpha",
        ),
    }


def _scores(result: ToyResult, names: Sequence[str], title: str) -> str:
    steps = result.histories[0].steps.tolist()
    scores = np.mean([h.scores for h in result.histories], axis=0)  # (E + 1, R)
    return line_chart(
        [Series(name, steps, scores[:, STRATEGIES.index(name)].tolist()) for name in names],
        title=title,
        x_label="step",
        y_label="sum of L(t) / L(0)",
        log_y=True,
    )


def _weights(result: ToyResult, strategy: str) -> str:
    weights = _weights_of(result, strategy).clip(min=SMALLEST_WEIGHT)
    middles = (result.histories[0].steps[1:] - result.setup.epoch_steps / 2).tolist()
    size = {"width": SMALL_WIDTH, "height": SMALL_HEIGHT}
    return _by_task(result, middles, weights, title=strategy, x_label="step", **size)


def _by_task(result: ToyResult, xs: list[float], ys: NDArray[np.float64], **labels: Any) -> str:
    """Return weights (X, K) as one line for each task."""
    tasks = enumerate(result.setup.tasks)
    series = [Series(task, xs, ys[:, index].tolist()) for index, task in tasks]
    return line_chart(series, y_label="weight", log_y=True, **labels)


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
