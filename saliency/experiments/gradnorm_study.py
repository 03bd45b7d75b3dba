"""Every strategy on GradNorm's toy problem, and whether what the paper found shows there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from saliency.experiments.gradnorm_toy import (
    STRATEGIES,
    History,
    Law,
    Problem,
    Setup,
    fixed_config,
    strategy_config,
    train,
)
from saliency.metrics import Interval, bootstrap_interval, srcc

TWO_SIGMAS = (1.0, 100.0)
"""Of the paper."""

TEN_SIGMAS = (5.2, 6.3, 6.6, 18.1, 26.8, 32.0, 35.2, 47.4, 63.3, 65.2)
"""Absolute values drawn once from N(0, 50^2); the paper says no more than a wide normal."""

ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)

Verdict = Literal["holds", "mixed", "does not hold"]


@dataclass(frozen=True)
class Plan:
    """What a study runs.

    Attributes:
        setups: The toy problems.
        seeds: How many seeds every strategy has, from 0.
        statics: How many random constant weightings are trained beside them, with seed 0.
        alphas: Of the sweep of GradNorm's asymmetry, with seed 0.
    """

    setups: tuple[Setup, ...]
    seeds: int = 3
    statics: int = 100
    alphas: tuple[float, ...] = ALPHAS

    @classmethod
    def of(cls, *, law: Law, seeds: int, quick: bool) -> Plan:
        """Return the plan of the command line; a quick one trains too briefly for conclusions."""
        two, ten = Setup(TWO_SIGMAS, law, steps=4000), Setup(TEN_SIGMAS, law, steps=1500)
        if quick:
            two, ten = replace(two, steps=300), replace(ten, steps=100)
            return cls((two, ten), seeds=1, statics=20)
        return cls((two, ten), seeds)

    def variants(self) -> dict[str, Setup]:
        """Return by name what else the first problem is trained with, once: the choices made."""
        first = self.setups[0]
        other: Law = "deviations" if first.law == "unit" else "unit"
        return {
            f"law {other}": replace(first, law=other),
            "lr / 3": replace(first, lr=first.lr / 3),
        }

    @property
    def epochs(self) -> int:
        """How often `on_epoch` is called in all."""
        trainings = self.seeds + bool(self.statics) + bool(self.alphas)
        return sum(s.epochs * trainings for s in self.setups) + sum(
            s.epochs for s in self.variants().values()
        )


@dataclass(frozen=True)
class Statics:
    """Random constant weights, and how far they are from what GradNorm's were on average.

    Attributes:
        weights: (N, K) uniform at random, rescaled to sum K.
        scores: (N,) final.
        distances: (N,) Euclidean, to GradNorm's time-averaged weights with the same seed.
        correlation: Spearman's, of distance and score; above 0 if the near ones do better.
        interval: Its 95 % bootstrap interval over weightings.
        at_mean: Final score of GradNorm's time-averaged weights held constant.
    """

    weights: NDArray[np.float64]
    scores: NDArray[np.float64]
    distances: NDArray[np.float64]
    correlation: float
    interval: Interval
    at_mean: float


@dataclass(frozen=True)
class AlphaRun:
    """GradNorm with one asymmetry.

    Attributes:
        alpha: The asymmetry.
        score: Final.
        weights: (K,) time-averaged.
        spread: Standard deviation over tasks of the logarithm of `weights`.
    """

    alpha: float
    score: float
    weights: NDArray[np.float64]
    spread: float


@dataclass(frozen=True)
class Expectation:
    """Something the paper reports, and what was found."""

    claim: str
    verdict: Verdict
    found: str


@dataclass(frozen=True)
class ToyResult:
    """One toy problem.

    Attributes:
        setup: The problem.
        saturated: Share of outputs where tanh is beyond .99.
        histories: One a seed; runs are in the order of `STRATEGIES`.
        statics: Random constant weights.
        alphas: The sweep.
        expectations: The paper's findings here.
    """

    setup: Setup
    saturated: float
    histories: tuple[History, ...]
    statics: Statics
    alphas: tuple[AlphaRun, ...]
    expectations: tuple[Expectation, ...]

    def final(self, strategy: str) -> NDArray[np.float64]:
        """Return the final score of each seed."""
        return _final(self.histories, strategy)

    def scores(self, strategy: str) -> NDArray[np.float64]:
        """Return (E + 1,) scores over time, mean over seeds."""
        run = STRATEGIES.index(strategy)
        return np.asarray(np.mean([h.scores[:, run] for h in self.histories], axis=0))

    def weights(self, strategy: str) -> NDArray[np.float64]:
        """Return (E, K) weights over time, mean over seeds."""
        run = STRATEGIES.index(strategy)
        return np.asarray(np.mean([h.weights[:, run] for h in self.histories], axis=0))


@dataclass(frozen=True)
class Study:
    """All that was run.

    Attributes:
        plan: What was asked for.
        results: One a toy problem.
        variants: Final scores with seed 0 under other choices, by name, then strategy.
    """

    plan: Plan
    results: tuple[ToyResult, ...]
    variants: dict[str, dict[str, float]]

    def under_other_choices(self) -> list[str]:
        """Return a sentence a variant: where GradNorm ends in it."""
        sentences = []
        for name, scores in self.variants.items():
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

    def to_json(self) -> dict[str, Any]:
        """Return everything but the weights of each epoch's every seed, for programs."""
        return {
            "seeds": self.plan.seeds,
            "problems": [_to_json(result) for result in self.results],
            "variants_seed_0": self.variants,
        }


def run_study(plan: Plan, on_epoch: Callable[[], None] | None = None) -> Study:
    """Train everything of a plan, in minutes on one core."""
    results = tuple(_run_problem(setup, plan, on_epoch) for setup in plan.setups)
    variants = {}
    for name, setup in plan.variants().items():
        final = train(setup, 0, [strategy_config(s, setup) for s in STRATEGIES], on_epoch).final
        variants[name] = dict(zip(STRATEGIES, final.tolist(), strict=True))
    return Study(plan, results, variants)


def _run_problem(setup: Setup, plan: Plan, on_epoch: Callable[[], None] | None) -> ToyResult:
    configs = [strategy_config(name, setup) for name in STRATEGIES]
    histories = tuple(train(setup, seed, configs, on_epoch) for seed in range(plan.seeds))
    near = histories[0].mean_weights[STRATEGIES.index("gradnorm")]
    statics = _train_statics(setup, plan.statics, near, on_epoch)
    alphas = _sweep_alpha(setup, plan.alphas, on_epoch)
    return ToyResult(
        setup,
        Problem(setup, torch.Generator().manual_seed(0)).saturated,
        histories,
        statics,
        alphas,
        tuple(judge(setup, histories, statics, alphas)),
    )


def _train_statics(
    setup: Setup, count: int, near: NDArray[np.float64], on_epoch: Callable[[], None] | None
) -> Statics:
    weights = np.random.default_rng(0).uniform(size=(count, len(setup.sigmas)))
    weights *= len(setup.sigmas) / weights.sum(axis=1, keepdims=True)
    configs = [fixed_config(setup, row.tolist()) for row in [*weights, near]]
    *scores, at_mean = train(setup, 0, configs, on_epoch).final.tolist()
    distances, final = np.linalg.norm(weights - near, axis=1), np.array(scores)
    interval = bootstrap_interval(srcc, distances, final)
    return Statics(weights, final, distances, srcc(distances, final), interval, at_mean)


def _sweep_alpha(
    setup: Setup, alphas: Sequence[float], on_epoch: Callable[[], None] | None
) -> tuple[AlphaRun, ...]:
    configs = [strategy_config("gradnorm", setup, alpha) for alpha in alphas]
    history = train(setup, 0, configs, on_epoch)
    return tuple(
        AlphaRun(alpha, float(score), weights, float(np.log(weights).std()))
        for alpha, score, weights in zip(alphas, history.final, history.mean_weights, strict=True)
    )


def judge(
    setup: Setup, histories: Sequence[History], statics: Statics, alphas: Sequence[AlphaRun]
) -> list[Expectation]:
    """Compare what was found with what the paper reports.

    A claim about strategies holds if it is so with every seed, and does not if with none.
    """
    gradnorm, equal, uncertainty = (
        _final(histories, name) for name in ("gradnorm", "equal", "uncertainty")
    )
    return [
        Expectation("GradNorm ends below equal weights.", *_below(gradnorm, equal)),
        Expectation("GradNorm ends below uncertainty weighting.", *_below(gradnorm, uncertainty)),
        _starts_fast(histories),
        _favours_small(setup, histories),
        _spreads(alphas),
        _nearer_is_better(statics),
        _best_is_near(statics, float(gradnorm[0])),
    ]


def _final(histories: Sequence[History], strategy: str) -> NDArray[np.float64]:
    return np.array([history.final[STRATEGIES.index(strategy)] for history in histories])


def _verdict(so: Sequence[bool] | NDArray[np.bool_]) -> Verdict:
    return "holds" if all(so) else "mixed" if any(so) else "does not hold"


def _below(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[Verdict, str]:
    so = ours < theirs
    return _verdict(so), (
        f"{ours.mean():.3f} against {theirs.mean():.3f} on average, "
        f"lower with {so.sum()} of {len(so)} seeds"
    )


def _starts_fast(histories: Sequence[History]) -> Expectation:
    """Compare uncertainty weighting with GradNorm after a tenth of training and at its end."""
    runs = [STRATEGIES.index(name) for name in ("uncertainty", "gradnorm")]
    early = np.array([h.scores[max(1, len(h.scores) // 10), runs] for h in histories])
    late = np.array([h.final[runs] for h in histories])
    ahead, behind = early[:, 0] < early[:, 1], late[:, 0] > late[:, 1]
    return Expectation(
        "Uncertainty weighting is ahead of GradNorm at first and behind it in the end.",
        _verdict(ahead & behind),
        f"ahead after a tenth of the steps with {ahead.sum()} of {len(ahead)} seeds "
        f"({early[:, 0].mean():.3f} against {early[:, 1].mean():.3f}), "
        f"behind at the end with {behind.sum()}",
    )


def _favours_small(setup: Setup, histories: Sequence[History]) -> Expectation:
    run = STRATEGIES.index("gradnorm")
    small, large = int(np.argmin(setup.sigmas)), int(np.argmax(setup.sigmas))
    weights = np.array([history.mean_weights[run] for history in histories])
    return Expectation(
        "GradNorm gives the task with the smallest sigma more weight than that with the largest.",
        _verdict(weights[:, small] > weights[:, large]),
        f"{weights[:, small].mean():.3g} against {weights[:, large].mean():.3g} "
        "on average over time and seeds",
    )


def _spreads(alphas: Sequence[AlphaRun]) -> Expectation:
    grows = [after.spread > before.spread for before, after in pairwise(alphas)]
    listed = ", ".join(f"{run.spread:.2f} at {run.alpha:g}" for run in alphas)
    return Expectation(
        "A larger alpha spreads GradNorm's weights further apart.",
        _verdict(grows),
        f"the standard deviation of log weights over tasks is {listed}",
    )


def _nearer_is_better(statics: Statics) -> Expectation:
    low, high = statics.interval
    return Expectation(
        "Random static weights do better the nearer they are to GradNorm's time-averaged ones.",
        "holds" if low > 0 else "does not hold" if high < 0 else "mixed",
        f"Spearman's correlation of distance and score is {statics.correlation:.2f} "
        f"[{low:.2f}, {high:.2f}] over {len(statics.scores)} weightings",
    )


def _best_is_near(statics: Statics, gradnorm: float) -> Expectation:
    best = int(statics.scores.argmin())
    rank = int((statics.distances < statics.distances[best]).sum()) + 1
    count = len(statics.scores)
    return Expectation(
        "The best of the random static weightings is near GradNorm's time-averaged weights.",
        "holds" if rank <= count / 10 else "does not hold" if rank > count / 2 else "mixed",
        f"it is number {rank} of {count} in nearness and scores {statics.scores[best]:.3f}; "
        f"GradNorm with the same seed {gradnorm:.3f}, "
        f"its average weights held constant {statics.at_mean:.3f}",
    )


def _to_json(result: ToyResult) -> dict[str, Any]:
    statics = result.statics
    return {
        "setup": asdict(result.setup),
        "saturated": round(result.saturated, 4),
        "steps": result.histories[0].steps.tolist(),
        "strategies": {
            name: {
                "final_scores": _short(result.final(name)),
                "scores": [_short(h.scores[:, run]) for h in result.histories],
                "weights": _short(result.weights(name)),
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
        "alphas": [asdict(run) | {"weights": _short(run.weights)} for run in result.alphas],
        "expectations": [asdict(expectation) for expectation in result.expectations],
    }


def _short(values: NDArray[np.float64]) -> Any:
    """Return nested lists with five significant digits."""
    return np.vectorize(lambda v: float(f"{v:.5g}"))(values).tolist()
