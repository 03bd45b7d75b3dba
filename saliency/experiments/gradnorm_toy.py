"""GradNorm's toy problem: regression tasks that differ in scale, learned by one small network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saliency.tasks import Likelihood, Task
from saliency.training.balancing import build_weighting
from saliency.training.config import WeightingConfig, WeightingName
from saliency.weighting import Shared

INPUTS, OUTPUTS, WIDTH, LAYERS = 250, 100, 100, 4
"""Of the paper: x in R^250, f_i(x) in R^100, a trunk of four layers of 100 units."""

SHARED_SCALE, OWN_SCALE = 10.0, 3.5
"""The numbers in B ~ N(0, 10) and eps_i ~ N(0, 3.5)."""

TOY_ALPHA = 0.12
"""GradNorm's asymmetry in the paper's toy problem."""

STRATEGIES: tuple[WeightingName, ...] = get_args(WeightingName)

Law = Literal["unit", "deviations", "variances"]
"""How large the argument of tanh is. `unit`: standard deviation 1, from matrices in the ratio
10 : 3.5. `deviations` and `variances`: what it is for x ~ N(0, I) if 10 and 3.5 are the one or the
other, 168 and 58; almost every tanh is -1 or 1 then, which the paper hardly meant."""


@dataclass(frozen=True)
class Setup:
    """One toy problem and how it is trained.

    `f_i(x) = sigma_i tanh(g (B + eps_i) x)`, x ~ N(0, I), squared error. B is common to the tasks,
    eps_i is task i's own; g is 1 but in the law `unit`.

    The paper leaves open what follows, and here it is: every step has a fresh batch, so nothing
    can be memorised. The trunk starts with He's initial weights (PyTorch's own shrink the signal
    sixtyfold over four layers), the heads with PyTorch's. The optimiser is Adam with a constant
    rate: no rate of plain gradient descent suits a loss of 10,000 and one of 1, and training uses
    AdamW. Weights are rescaled to sum K at each step. Losses are in units of the geometric mean
    of sigma_i^2, one factor for all tasks, which keeps log-variances inside their bounds.

    Attributes:
        sigmas: (K,) scales of the tasks' outputs.
        law: How strongly tanh saturates.
        steps: Of the optimiser.
        epoch_steps: Steps between two evaluations; an epoch to `dwa`, `lbtw` and `dtp`.
        batch: Examples a step.
        held_out: Examples to validate on, and as many to test on.
        lr: Of the network.
        weighting_lr: Of log-variances and of GradNorm's weights; that of training.

    Source:
        Chen et al., "GradNorm: gradient normalization for adaptive loss balancing in deep
        multitask networks" (2018), section 4.
    """

    sigmas: tuple[float, ...]
    law: Law = "unit"
    steps: int = 4000
    epoch_steps: int = 50
    batch: int = 32
    held_out: int = 250
    lr: float = 3e-3
    weighting_lr: float = 2e-2

    @property
    def epochs(self) -> int:
        """How many epochs a run has."""
        return self.steps // self.epoch_steps

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, by their scale."""
        return tuple(f"sigma {sigma:g}" for sigma in self.sigmas)

    @property
    def loss_unit(self) -> float:
        """What squared errors are divided by."""
        return math.exp(2 * float(np.mean(np.log(self.sigmas))))


class Examples(NamedTuple):
    """Inputs (N, 250) and each task's outputs (K, N, 100)."""

    x: Tensor
    y: Tensor


class Problem:
    """The matrices of one seed, and examples drawn from them.

    Attributes:
        validation: What `dtp` hears of.
        test: What scores are measured on.
    """

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
        """Share of test outputs where tanh is beyond .99 in magnitude."""
        return float((self.test.y.abs() > 0.99 * self._sigmas).float().mean())

    def draw(self, count: int) -> Examples:
        """Return fresh examples."""
        x = self._normal(count, INPUTS)
        return Examples(x, self._sigmas * torch.einsum("ni,kio->kno", x, self._matrices).tanh())

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._random)


class Affine(nn.Module):
    """R affine layers with the same initial weights, for R inputs: (R, N, in) -> (R, N, out)."""

    def __init__(
        self, runs: int, fan_in: int, fan_out: int, bound: float, random: torch.Generator
    ) -> None:
        super().__init__()
        weight = bound * (2 * torch.rand(1, fan_in, fan_out, generator=random) - 1)
        self.weight = nn.Parameter(weight.repeat(runs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(runs, 1, fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return each input's image under its own layer."""
        return torch.baddbmm(self.bias, x, self.weight)


class Networks(nn.Module):
    """R networks with the same initial weights, trained side by side without meeting.

    A shared trunk with ReLU and one affine head a task. Adam works element by element, so one
    optimiser over all networks is one for each.
    """

    def __init__(self, runs: int, tasks: int, random: torch.Generator) -> None:
        super().__init__()
        self.runs = runs
        self.first = Affine(runs, INPUTS, WIDTH, math.sqrt(6 / INPUTS), random)
        self.middle = nn.ModuleList(
            Affine(runs, WIDTH, WIDTH, math.sqrt(6 / WIDTH), random) for _ in range(LAYERS - 2)
        )
        self.last = Affine(runs, WIDTH, WIDTH, math.sqrt(6 / WIDTH), random)
        self.heads = nn.ModuleList(
            Affine(runs, WIDTH, OUTPUTS, 1 / math.sqrt(WIDTH), random) for _ in range(tasks)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what the trunk gives (R, N, 100) and K predictions (R, N, 100)."""
        hidden = x.expand(self.runs, *x.shape)
        for layer in (self.first, *self.middle, self.last):
            hidden = layer(hidden).relu()
        return hidden, [head(hidden) for head in self.heads]


@dataclass(frozen=True)
class History:
    """How R networks with their weightings were trained on one problem.

    Attributes:
        steps: (E + 1,) steps taken before each evaluation; the first is 0.
        losses: (E + 1, R, K) test losses, each divided by its value at step 0.
        weights: (E, R, K) task weights, rescaled to sum K, mean over each epoch.
    """

    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def scores(self) -> NDArray[np.float64]:
        """(E + 1, R) the paper's task-normalised test loss, `sum_i L_i(t) / L_i(0)`."""
        return np.asarray(self.losses.sum(axis=2))

    @property
    def final(self) -> NDArray[np.float64]:
        """(R,) scores, mean over the last tenth of training, because one evaluation is noisy."""
        last = max(1, (len(self.steps) - 1) // 10)
        return np.asarray(self.scores[-last:].mean(axis=0))

    @property
    def mean_weights(self) -> NDArray[np.float64]:
        """(R, K) weights averaged over time."""
        return np.asarray(self.weights.mean(axis=0))


def strategy_config(name: WeightingName, setup: Setup, alpha: float = TOY_ALPHA) -> WeightingConfig:
    """Return a strategy with the options of training, but for what the toy problem asks.

    `fixed` gets what somebody would set who knows the scales, `1 / sigma_i^2`; L(0) is the first
    batch alone, as in the paper; GradNorm has the paper's alpha.
    """
    if name == "fixed":
        return fixed_config(setup, [1 / sigma**2 for sigma in setup.sigmas])
    return WeightingConfig(name=name, normalize=True, initial_batches=1, gradnorm_alpha=alpha)


def fixed_config(setup: Setup, weights: Sequence[float]) -> WeightingConfig:
    """Return constant weights, rescaled to sum K."""
    scale = len(weights) / sum(weights)
    fixed = {task: scale * w for task, w in zip(setup.tasks, weights, strict=True)}
    return WeightingConfig(name="fixed", normalize=True, fixed=fixed)


def train(
    setup: Setup,
    seed: int,
    configs: Sequence[WeightingConfig],
    on_epoch: Callable[[], None] | None = None,
) -> History:
    """Train one network a config, all from the same start on the same examples.

    Strategies hear what the training loop would tell them: `prior` the variance of the validation
    outputs, `dtp` after each epoch the share of each task's validation loss that is gone,
    `max(0, 1 - L(t) / L(0))`, `dwa` the epoch's mean training losses.

    Args:
        setup: The problem.
        seed: Of the matrices, the examples and the initial weights.
        configs: R strategies.
        on_epoch: Called after each epoch, for a progress bar.
    """
    random = torch.Generator().manual_seed(seed)
    problem = Problem(setup, random)
    networks = Networks(len(configs), len(setup.sigmas), random)
    balance = Balance(setup, configs, _constant_losses(problem.validation, setup))
    optimizer = torch.optim.Adam(networks.parameters(), lr=setup.lr, fused=True)

    def losses_of(examples: Examples) -> tuple[Tensor, list[Tensor]]:
        """Return what the trunk gives and K losses (R,)."""
        hidden, outputs = networks(examples.x)
        return hidden, [
            (output - y).square().mean(dim=(1, 2)) / setup.loss_unit
            for output, y in zip(outputs, examples.y, strict=True)
        ]

    @torch.no_grad()
    def held_out(examples: Examples) -> NDArray[np.float64]:
        """Return losses (R, K)."""
        return torch.stack(losses_of(examples)[1], dim=1).double().numpy()

    validation_start, test_start = held_out(problem.validation), held_out(problem.test)
    steps, losses, weights = [0], [np.ones_like(test_start)], []
    for epoch in range(setup.epochs):
        weight_sums, loss_sums = np.zeros_like(test_start), np.zeros_like(test_start)
        for _ in range(setup.epoch_steps):
            hidden, by_task = losses_of(problem.draw(setup.batch))
            places: dict[Shared, Tensor] = {"features": hidden, "last_layer": networks.last.weight}
            share = balance.step(by_task, places)
            now = torch.stack(by_task, dim=1)
            optimizer.zero_grad()
            (share * now).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            weight_sums += share.double().numpy()
            loss_sums += now.detach().double().numpy()
        weights.append(weight_sums / setup.epoch_steps)
        learned = 1 - held_out(problem.validation) / validation_start
        balance.end_epoch(loss_sums / setup.epoch_steps, learned.clip(min=0))
        steps.append((epoch + 1) * setup.epoch_steps)
        losses.append(held_out(problem.test) / test_start)
        if on_epoch:
            on_epoch()
    return History(np.array(steps), np.stack(losses), np.stack(weights))


class Balance:
    """R strategies side by side, and the optimiser of what they learn themselves."""

    def __init__(
        self, setup: Setup, configs: Sequence[WeightingConfig], constant_losses: Sequence[float]
    ) -> None:
        # Strategies are built from the tasks' names and likelihoods alone.
        tasks = cast("list[Task]", [_Named(name) for name in setup.tasks])
        self.weightings = [build_weighting(config, tasks) for config in configs]
        for weighting in self.weightings:
            weighting.start(lambda: constant_losses)
        learned = [p for weighting in self.weightings for p in weighting.parameters()]
        self._optimizer = (
            torch.optim.AdamW(learned, lr=setup.weighting_lr, weight_decay=0) if learned else None
        )

    def step(self, losses: Sequence[Tensor], places: Mapping[Shared, Tensor]) -> Tensor:
        """Return the strategies' weights (R, K), rescaled to sum K, and let them learn.

        A strategy looks at losses and at their gradients at shared tensors. Each gets stand-ins
        with the values and gradients of its own run and no network behind them, so that nothing is
        gone back through more than once.

        Args:
            losses: K times (R,), with their graph.
            places: Shared tensors (R, ...) by the need that they meet.
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
        shares = torch.stack([weighting.normalized for weighting in self.weightings])
        if self._optimizer is not None:
            self._optimizer.zero_grad()
            torch.stack(totals).sum().backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        return shares

    def end_epoch(self, mean_losses: NDArray[np.float64], indicators: NDArray[np.float64]) -> None:
        """Tell the strategies (R, K) mean training losses and how good each task is, 0..1."""
        for weighting, means, known in zip(self.weightings, mean_losses, indicators, strict=True):
            weighting.end_epoch(means.tolist())
            weighting.observe(known.tolist())


@dataclass(frozen=True)
class _Named:
    """What strategies are built from."""

    name: str
    likelihood: Likelihood = "regression"


def _task_gradients(losses: Sequence[Tensor], place: Tensor) -> Tensor:
    """Return the gradients (K, R, D) of K losses (R,) at a shared tensor (R, ...)."""
    gradients = [
        torch.autograd.grad(loss.sum(), place, retain_graph=True)[0].flatten(1)
        for loss in losses  # runs do not meet, so the sum keeps them apart
    ]
    return torch.stack(gradients)


def _constant_losses(examples: Examples, setup: Setup) -> list[float]:
    """Return each task's loss if the best constant were predicted."""
    variances = examples.y.var(dim=1, unbiased=False).mean(dim=1)
    return [float(variance) / setup.loss_unit for variance in variances]
