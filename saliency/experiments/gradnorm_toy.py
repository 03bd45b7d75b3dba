"""GradNorm's toy problem, and every strategy, constant weights and asymmetries trained on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saliency.metrics import Interval, bootstrap_interval, srcc
from saliency.tasks import Task
from saliency.weighting import (
    FixedOptions,
    GradNormOptions,
    InitialOptions,
    Shared,
    Strategy,
    WeightingOptions,
)

# From the paper: x in R^250, f_i(x) in R^100, a trunk of four layers of 100 units, B ~ N(0, 10) and
# eps_i ~ N(0, 3.5). The ten sigmas: absolute values drawn once from its wide normal, N(0, 50^2).
INPUTS, OUTPUTS, WIDTH, LAYERS = 250, 100, 100, 4
SHARED_SCALE, OWN_SCALE = 10.0, 3.5
TOY_ALPHA = 0.12
TWO_SIGMAS = (1.0, 100.0)
TEN_SIGMAS = (5.2, 6.3, 6.6, 18.1, 26.8, 32.0, 35.2, 47.4, 63.3, 65.2)
OPTIONS: dict[str, type[WeightingOptions]] = {o.name: o for o in get_args(Strategy)}
STRATEGIES: tuple[str, ...] = tuple(OPTIONS)

Law = Literal["unit", "deviations", "variances"]
"""Standard deviation of the argument of tanh: 1; or, if 10 and 3.5 are read as deviations or as
variances, 168 or 58. Almost every tanh is then -1 or 1, which the paper hardly meant."""

OnEpoch = Callable[[], None] | None  # for a progress bar


@dataclass(frozen=True)
class Setup:
    """One toy problem and how it is trained.

    `f_i(x) = sigma_i tanh(g (B + eps_i) x)`, x ~ N(0, I), squared error. B is common to the tasks,
    eps_i is task i's own; g is 1 but in the law `unit`.
    Choices that the paper leaves open, such as the optimiser, stand at the end of the report.
    Source: Chen et al., "GradNorm: gradient normalization for adaptive loss balancing in deep
    multitask networks" (2018), section 4.
    """

    sigmas: tuple[float, ...]  # (K,) scales of the tasks' outputs
    law: Law = "unit"  # how strongly tanh saturates
    steps: int = 4000  # steps of the optimiser
    epoch_steps: int = 50  # between two evaluations; an epoch to `dwa`, `lbtw` and `dtp`
    batch: int = 32  # examples in a step
    held_out: int = 250  # examples to validate on, and as many to test on
    lr: float = 3e-3  # learning rate of the network
    weighting_lr: float = 2e-2  # for log-variances and GradNorm's weights, as in training

    @property
    def epochs(self) -> int:
        """Number of epochs of a run."""
        return self.steps // self.epoch_steps

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, by their scale."""
        return tuple(f"sigma {sigma:g}" for sigma in self.sigmas)

    @property
    def loss_unit(self) -> float:
        """Divisor of squared errors."""
        return math.exp(2 * float(np.mean(np.log(self.sigmas))))


class Examples(NamedTuple):
    """Inputs (N, 250) and each task's outputs (K, N, 100)."""

    x: Tensor
    y: Tensor


class Problem:
    """The matrices of one seed, and examples drawn from them to train, validate and test."""

    def __init__(self, setup: Setup, random: torch.Generator) -> None:
        self._random = random
        power = 0.5 if setup.law == "variances" else 1.0
        shared, own = SHARED_SCALE**power, OWN_SCALE**power
        gain = 1 / math.sqrt(INPUTS * (shared**2 + own**2)) if setup.law == "unit" else 1.0
        common = shared * self._normal(1, INPUTS, OUTPUTS)
        self._matrices = gain * (common + own * self._normal(len(setup.sigmas), INPUTS, OUTPUTS))
        self._sigmas = torch.tensor(setup.sigmas)[:, None, None]
        self.validation = self.draw(setup.held_out)
        self.test = self.draw(setup.held_out)

    @property
    def saturated(self) -> float:
        """Fraction of test outputs where tanh is beyond .99 in magnitude."""
        return float((self.test.y.abs() > 0.99 * self._sigmas).float().mean())

    def draw(self, count: int) -> Examples:
        """Return fresh examples."""
        x = self._normal(count, INPUTS)
        return Examples(x, self._sigmas * torch.einsum("ni,kio->kno", x, self._matrices).tanh())

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._random)


class Affine(nn.Module):
    """R affine layers with the same initial weights, for R inputs: (R, N, in) -> (R, N, out)."""

    def __init__(self, runs: int, fan_in: int, fan_out: int, bound: float, random: Any) -> None:
        super().__init__()
        weight = bound * (2 * torch.rand(1, fan_in, fan_out, generator=random) - 1)
        self.weight = nn.Parameter(weight.repeat(runs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(runs, 1, fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return each input's image under its own layer."""
        return torch.baddbmm(self.bias, x, self.weight)


class Networks(nn.Module):
    """R networks with the same initial weights, with a ReLU trunk and an affine head for each task.

    They are independent: Adam works element by element, so one optimiser for all equals one each.
    """

    def __init__(self, runs: int, tasks: int, random: torch.Generator) -> None:
        super().__init__()
        self.runs = runs
        *middle, last = (
            Affine(runs, fan_in, fan_out, math.sqrt(6 / fan_in), random)
            for fan_in, fan_out in pairwise([INPUTS] + [WIDTH] * LAYERS)
        )
        self.trunk, self.last = nn.ModuleList([*middle, last]), last
        self.heads = nn.ModuleList(
            Affine(runs, WIDTH, OUTPUTS, 1 / math.sqrt(WIDTH), random) for _ in range(tasks)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the trunk's output (R, N, 100) and K predictions (R, N, 100)."""
        hidden = x.expand(self.runs, *x.shape)
        for layer in self.trunk:
            hidden = layer(hidden).relu()
        return hidden, [head(hidden) for head in self.heads]


@dataclass(frozen=True)
class History:
    """History of R networks trained with their weightings on one problem."""

    steps: NDArray[np.int64]  # (E + 1,) steps before each evaluation; the first is 0
    losses: NDArray[np.float64]  # (E + 1, R, K) test losses divided by their values at step 0
    weights: NDArray[np.float64]  # (E, R, K) rescaled to sum K, mean over each epoch

    @property
    def scores(self) -> NDArray[np.float64]:
        """(E + 1, R) the paper's task-normalised test loss, `sum_i L_i(t) / L_i(0)`."""
        return np.asarray(self.losses.sum(axis=2))

    @property
    def final(self) -> NDArray[np.float64]:
        """(R,) scores, mean over the last tenth of training, because one evaluation is noisy."""
        return np.asarray(self.scores[-max(1, len(self.weights) // 10) :].mean(axis=0))

    @property
    def mean_weights(self) -> NDArray[np.float64]:
        """(R, K) weights averaged over time."""
        return np.asarray(self.weights.mean(axis=0))


def strategy_config(name: str, setup: Setup, alpha: float = TOY_ALPHA) -> WeightingOptions:
    """Return a strategy with training's options, but with L(0) from the first batch, and alpha.

    `fixed` gets the weights that follow from the scales, `1 / sigma_i^2`.
    """
    if name == "fixed":
        return fixed_config(setup, [1 / sigma**2 for sigma in setup.sigmas])
    if name == "gradnorm":
        return GradNormOptions(normalize=True, alpha=alpha, initial_batches=1)
    if name == "initial":
        return InitialOptions(normalize=True, initial_batches=1)
    return OPTIONS[name](normalize=True)


def fixed_config(setup: Setup, weights: Sequence[float]) -> FixedOptions:
    """Return constant weights, rescaled to sum K."""
    scale = len(weights) / sum(weights)
    fixed = {task: scale * w for task, w in zip(setup.tasks, weights, strict=True)}
    return FixedOptions(normalize=True, weights=fixed)


def train(
    setup: Setup, seed: int, configs: Sequence[WeightingOptions], on_epoch: OnEpoch = None
) -> History:
    """Train one network for each config, all from the same start on the same examples.

    Strategies receive what the training loop would give them: `prior` the variance of the
    validation outputs, `dtp` after each epoch `max(0, 1 - L(t) / L(0))` of each task's validation
    loss, `dwa` the epoch's mean training losses. The seed is that of matrices, examples and initial
    weights.
    """
    random = torch.Generator().manual_seed(seed)
    problem = Problem(setup, random)
    networks = Networks(len(configs), len(setup.sigmas), random)
    variances = problem.validation.y.var(dim=1, unbiased=False).mean(dim=1)
    constant_losses = [float(v) / setup.loss_unit for v in variances]  # losses of the best constant
    balance = Balance(setup, configs, constant_losses)
    optimizer = torch.optim.Adam(networks.parameters(), lr=setup.lr, fused=True)

    def losses_of(examples: Examples) -> tuple[Tensor, list[Tensor]]:
        hidden, outputs = networks(examples.x)
        return hidden, [  # the trunk's output and K losses (R,)
            (output - y).square().mean(dim=(1, 2)) / setup.loss_unit
            for output, y in zip(outputs, examples.y, strict=True)
        ]

    @torch.no_grad()
    def held_out(examples: Examples) -> NDArray[np.float64]:
        return torch.stack(losses_of(examples)[1], dim=1).double().numpy()  # (R, K)

    validation_start, test_start = held_out(problem.validation), held_out(problem.test)
    steps, losses, weights = [0], [np.ones_like(test_start)], []
    for epoch in range(setup.epochs):
        weight_sums, loss_sums = np.zeros_like(test_start), np.zeros_like(test_start)
        for _ in range(setup.epoch_steps):
            hidden, by_task = losses_of(problem.draw(setup.batch))
            places: dict[Shared, Tensor] = {"features": hidden, "last_layer": networks.last.weight}
            task_weights = balance.step(by_task, places)
            now = torch.stack(by_task, dim=1)
            optimizer.zero_grad()
            (task_weights * now).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            weight_sums += task_weights.double().numpy()
            loss_sums += now.detach().double().numpy()
        weights.append(weight_sums / setup.epoch_steps)
        learned = 1 - held_out(problem.validation) / validation_start
        heard = zip(loss_sums / setup.epoch_steps, learned.clip(min=0), strict=True)
        for weighting, (means, known) in zip(balance.weightings, heard, strict=True):
            weighting.end_epoch(means.tolist())
            weighting.observe(known.tolist())
        steps.append((epoch + 1) * setup.epoch_steps)
        losses.append(held_out(problem.test) / test_start)
        if on_epoch:
            on_epoch()
    return History(np.array(steps), np.stack(losses), np.stack(weights))


class Balance:
    """R strategies side by side, and the optimiser of their learned weights."""

    def __init__(
        self, setup: Setup, configs: Sequence[WeightingOptions], constant_losses: Sequence[float]
    ) -> None:
        # Only the tasks' names and likelihoods matter for building strategies.
        named = [SimpleNamespace(name=name, likelihood="regression") for name in setup.tasks]
        tasks = cast("list[Task]", named)
        self.weightings = [config.build(tasks) for config in configs]
        for weighting in self.weightings:
            weighting.start(lambda: constant_losses)
        learned = [p for weighting in self.weightings for p in weighting.parameters()]
        self._optimizer = (
            torch.optim.AdamW(learned, lr=setup.weighting_lr, weight_decay=0) if learned else None
        )

    def step(self, losses: Sequence[Tensor], places: Mapping[Shared, Tensor]) -> Tensor:
        """Return the strategies' weights (R, K), rescaled to sum K, and train them.

        A strategy looks at K losses (R,) and their gradients at shared tensors (R, ...). Each gets
        stand-ins with the values and gradients of its own run but without a network, so that the
        backward pass runs only once.
        """
        wanted = {weighting.needs for weighting in self.weightings} & places.keys()
        gradients = {need: _task_gradients(losses, places[need]) for need in wanted}
        values = torch.stack([loss.detach() for loss in losses], dim=1)
        totals = []
        for run, weighting in enumerate(self.weightings):
            stand_ins, shared = values[run], []
            if weighting.needs in gradients:
                slopes = gradients[weighting.needs][:, run]
                shared = [torch.zeros(slopes.shape[1], requires_grad=True)]
                stand_ins = stand_ins + slopes @ shared[0]
            total = weighting(list(stand_ins), [True] * len(losses), shared)
            totals.append(total * len(losses) / weighting.current.sum())
        task_weights = torch.stack([weighting.normalized for weighting in self.weightings])
        if self._optimizer is not None:
            self._optimizer.zero_grad()
            torch.stack(totals).sum().backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        return task_weights


def _task_gradients(losses: Sequence[Tensor], place: Tensor) -> Tensor:
    """Return the gradients (K, R, D) of K losses (R,) at a shared tensor (R, ...)."""
    grad = partial(torch.autograd.grad, inputs=place, retain_graph=True)
    # Runs are independent, so the gradient of the sum separates them.
    return torch.stack([grad(loss.sum())[0].flatten(1) for loss in losses])


@dataclass(frozen=True)
class Plan:
    """The plan of a study."""

    setups: tuple[Setup, ...]
    seeds: int = 3  # seeds of every strategy, from 0
    statics: int = 100  # random constant weightings, with seed 0
    alphas: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # GradNorm's asymmetry, with seed 0

    @classmethod
    def of(cls, *, law: Law, seeds: int, quick: bool) -> Plan:
        """Return the plan of the command line; a quick plan trains too briefly for conclusions."""
        two, ten = Setup(TWO_SIGMAS, law, steps=4000), Setup(TEN_SIGMAS, law, steps=1500)
        if quick:
            return cls((replace(two, steps=300), replace(ten, steps=100)), seeds=1, statics=20)
        return cls((two, ten), seeds)

    def variants(self) -> dict[str, Setup]:
        """Return variants of the first problem by name: other choices, each trained once."""
        first = self.setups[0]
        other: Law = "deviations" if first.law == "unit" else "unit"
        lr = first.lr / 3
        return {f"law {other}": replace(first, law=other), "lr / 3": replace(first, lr=lr)}

    @property
    def epochs(self) -> int:
        """Total number of calls of `on_epoch`."""
        trainings = self.seeds + bool(self.statics) + bool(self.alphas)
        return sum(s.epochs for s in [*self.setups * trainings, *self.variants().values()])


class Statics(NamedTuple):
    """N random constant weightings, and how far they are from GradNorm's average weights."""

    weights: NDArray[np.float64]  # (N, K) uniform at random, rescaled to sum K
    scores: NDArray[np.float64]  # (N,) final scores
    distances: NDArray[np.float64]  # (N,) Euclidean distances to GradNorm's time-averaged weights
    correlation: float  # Spearman's, of distance and score; > 0 if near ones are better
    interval: Interval  # its 95 % bootstrap interval over weightings
    at_mean: float  # final score of GradNorm's time-averaged weights held constant


class AlphaRun(NamedTuple):
    """GradNorm with one asymmetry, and its final score."""

    alpha: float
    score: float
    weights: NDArray[np.float64]  # (K,) time-averaged
    spread: float  # standard deviation over tasks of the logarithm of `weights`


@dataclass(frozen=True)
class ToyResult:
    """All trainings on one toy problem."""

    setup: Setup
    saturated: float  # fraction of outputs where tanh is beyond .99
    histories: tuple[History, ...]  # one for each seed; runs are in the order of `STRATEGIES`
    statics: Statics
    alphas: tuple[AlphaRun, ...]

    def final(self, strategy: str) -> NDArray[np.float64]:
        """Return the final score of each seed."""
        return np.array([h.final[STRATEGIES.index(strategy)] for h in self.histories])


@dataclass(frozen=True)
class Study:
    """The results of the whole plan."""

    plan: Plan
    results: tuple[ToyResult, ...]
    variants: dict[str, dict[str, float]]  # final scores with seed 0, by name, then strategy


def run_study(plan: Plan, on_epoch: OnEpoch = None) -> Study:
    """Run a whole plan, which takes minutes on one core."""
    results = tuple(_run_problem(setup, plan, on_epoch) for setup in plan.setups)
    variants = {}
    for name, setup in plan.variants().items():
        final = train(setup, 0, [strategy_config(s, setup) for s in STRATEGIES], on_epoch).final
        variants[name] = dict(zip(STRATEGIES, final.tolist(), strict=True))
    return Study(plan, results, variants)


def _run_problem(setup: Setup, plan: Plan, on_epoch: OnEpoch) -> ToyResult:
    configs = [strategy_config(name, setup) for name in STRATEGIES]
    histories = tuple(train(setup, seed, configs, on_epoch) for seed in range(plan.seeds))
    near = histories[0].mean_weights[STRATEGIES.index("gradnorm")]
    weights = np.random.default_rng(0).uniform(size=(plan.statics, len(setup.sigmas)))
    weights *= len(setup.sigmas) / weights.sum(axis=1, keepdims=True)
    constant = [fixed_config(setup, row.tolist()) for row in [*weights, near]]
    *scores, at_mean = train(setup, 0, constant, on_epoch).final.tolist()
    distances, final = np.linalg.norm(weights - near, axis=1), np.array(scores)
    interval = bootstrap_interval(srcc, distances, final)
    statics = Statics(weights, final, distances, srcc(distances, final), interval, at_mean)
    sweep = train(setup, 0, [strategy_config("gradnorm", setup, a) for a in plan.alphas], on_epoch)
    alphas = tuple(
        AlphaRun(alpha, float(score), mean, float(np.log(mean).std()))
        for alpha, score, mean in zip(plan.alphas, sweep.final, sweep.mean_weights, strict=True)
    )
    saturated = Problem(setup, torch.Generator().manual_seed(0)).saturated
    return ToyResult(setup, saturated, histories, statics, alphas)
