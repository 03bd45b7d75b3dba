"""The training loop: steps, averaged weights, validation, saving and resuming."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from timm.utils import ModelEmaV3
from torch.utils.checkpoint import checkpoint

from saliency.datasets.sets import build_sets
from saliency.devices import resolve_device
from saliency.errors import ConfigError
from saliency.locks import hold_folder
from saliency.preprocessing import Preprocessing
from saliency.stopping import stop_requests
from saliency.training.building import build_network, build_tasks, compile_encoder
from saliency.training.config import TrainingConfig
from saliency.training.data import PlainBatches, Share, TrainingLoader, living_loaders, teach
from saliency.training.distributed import World
from saliency.training.folder import BEST, LAST, RunFolder, check_same_config
from saliency.training.growth import Growth, grow_as
from saliency.training.objective import Objective
from saliency.training.optimization import (
    build_optimizer,
    clip_gradients,
    lr_factor,
    set_learning_rates,
    trained_parameters,
)
from saliency.training.report import Reporter, Silence
from saliency.training.start import known_tasks, start_read_outs
from saliency.training.state import Progress, TrainingState, load_state, load_tree_of
from saliency.training.threads import using_threads
from saliency.training.validation import Validated, Validation
from saliency.types import Batch, Output

PRIOR_IMAGES, AFFINITY_IMAGES = 500, 500
"""Largest number of training images with fixations, and with ratings, that the losses of constant
predictions and the affinities of tasks are measured on."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        checkpoint: The best checkpoint by validation.
        score: Validation score of the checkpoint: the mean of CC over the saliency sets and SRCC
            over the rated sets, or only one of them if the other is not learned; without both, the
            attributes' mean score.
        epoch: Epoch that reached it.
        interrupted: Whether the run was stopped before its end.
    """

    checkpoint: Path
    score: float
    epoch: int
    interrupted: bool


def train(
    config: TrainingConfig,
    run_dir: Path,
    *,
    data_root: Path | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
    world: World | None = None,
) -> TrainingResult:
    """Train a network, or continue a run that was stopped.

    `run_dir` receives `best.safetensors` and `last.safetensors` (checkpoints for `Predictor`),
    `state.safetensors` (for resuming), `metrics.jsonl` and TensorBoard's files; with a sharing
    scheme that grows also `splits.jsonl`. A run that finds a state there continues from it and
    ends as it would have without the stop.

    Several processes may share a run: each calls this with its own `world` and device, and
    computes its share of every batch. Their number changes the speed, but not what is learned, up
    to rounding; it may change when a run continues. They read the same `run_dir`; only the first
    process writes to it, validates and reports.

    Args:
        config: The run's configuration.
        run_dir: Folder of this run.
        data_root: Folder of the data sets.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        reporter: Receives the progress; None: files are written, but nothing is shown.
        world: The processes that share the run, from `join_world`; this one alone if None.

    Raises:
        BusyError: Another run is in `run_dir`.
        ConfigError: The config makes no sense, or `run_dir` holds a run of another config.
        DatasetError: A data set is not what its layout says.
        SaliencyError: The loss is no longer finite, or another process is gone.
    """
    if config.train.compile and not config.sharing.compiles:
        raise ConfigError(
            "`train.compile` works only with sharing schemes that compute one encoder as a whole, "
            f"such as hard. Found sharing.name = {config.sharing.name!r}."
        )
    world = world or World()
    reporter = (reporter or Reporter(run_dir)) if world.is_first else Silence(run_dir)
    with hold_folder(run_dir) if world.is_first else nullcontext():
        check_same_config(run_dir, config)
        run = _prepare(config, run_dir, data_root, resolve_device(device), reporter, world)
        with reporter, stop_requests() as was_asked:
            return run.to_end(was_asked)


def _prepare(
    config: TrainingConfig,
    run_dir: Path,
    data_root: Path | None,
    device: torch.device,
    reporter: Reporter,
    world: World,
) -> _Run:
    """Build the parts of a run, newly started or as they were saved."""
    torch.manual_seed(config.train.seed)
    train_sets = build_sets(config.data, "train", data_root)
    train_sets = teach(train_sets, config, device, run_dir, reporter.labelled)
    validation_sets = build_sets(config.data, "val", data_root)
    network = build_network(config, data_root)
    preprocessing = Preprocessing(
        config.data.height,
        config.data.width,
        network.encoder.mean,
        network.encoder.std,
        config.data.further_sizes,
    )
    tasks = build_tasks(config, train_sets)
    network.to(device).to(memory_format=torch.channels_last)
    objective = Objective(config, network, tasks, device, world)
    growth = None
    if config.sharing.growth is not None:
        plain = PlainBatches(train_sets, preprocessing, AFFINITY_IMAGES)
        growth = Growth(config.sharing.growth, config, network, tasks, plain, device, world)
    folder = RunFolder(run_dir, config, preprocessing, writes=world.is_first)
    goes_on = world.any(world.is_first and folder.state.is_file())
    if goes_on:
        grow_as(network, load_tree_of(folder.state))
    elif world.is_first:
        start_read_outs(
            network,
            preprocessing,
            train_sets.rated,
            config,
            device,
            kept=known_tasks(network, config.model.start),
        )
        objective.start(PlainBatches(train_sets, preprocessing, PRIOR_IMAGES))
    world.copy_first(network, objective.weighting)
    state = TrainingState(
        network=network,
        ema=ModelEmaV3(network, decay=config.train.ema_decay, use_warmup=True),
        weighting=objective.weighting,
        optimizer=build_optimizer(network, objective.weighting, config.train, config.sharing.lr),
        progress=Progress(),
    )
    if goes_on:
        load_state(folder.state, state)
    if config.train.compile:
        compile_encoder(network)
    return _Run(
        config=config,
        folder=folder,
        state=state,
        objective=objective,
        growth=growth,
        loader=TrainingLoader(config, train_sets, preprocessing, world),
        validation=Validation(validation_sets, tasks, preprocessing, device),
        device=device,
        reporter=reporter,
        world=world,
    )


@dataclass
class _Run:
    """The parts of one run, so that its steps need not pass them around."""

    config: TrainingConfig
    folder: RunFolder
    state: TrainingState
    objective: Objective
    growth: Growth | None
    loader: TrainingLoader
    validation: Validation
    device: torch.device
    reporter: Reporter
    world: World

    def to_end(self, was_asked: Callable[[], bool]) -> TrainingResult:
        """Train until the last epoch, early stopping or a stop request.

        Args:
            was_asked: Returns whether this process was asked to stop.
        """
        # A stop that one process is asked for is for all: they stop after the same step.
        self._was_asked = was_asked
        progress = self.state.progress
        threads = using_threads(self.config.train.threads, self.state.network, self.device)
        with threads, living_loaders():
            self.reporter.start(self.config, self.total_steps, progress.step)
            while not progress.finished and not self._is_stopping():
                self._epoch()
        if self._is_stopping():
            self.folder.save(self.state)
        best = self.folder.path / (BEST if progress.best_epoch else LAST)
        return TrainingResult(best, progress.best_score, progress.best_epoch, not progress.finished)

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.config.train.epochs * self.loader.steps_per_epoch

    def _is_stopping(self) -> bool:
        return self.world.any(self._was_asked())

    def _epoch(self) -> None:
        """Train the rest of the current epoch, then validate and save.

        A run that was stopped, even during validation, continues here; the values that its steps
        logged were saved.
        """
        self._steps()
        if self._is_stopping():
            return
        progress, train = self.state.progress, self.config.train
        epoch = progress.epoch + 1
        is_last = epoch >= train.epochs
        validated = None
        if is_last or epoch % train.validate_every == 0:
            validated = self._validate()
            if self._is_stopping():
                return
        means = progress.end_epoch()
        self.objective.end_epoch(means)
        progress.finished = is_last
        if validated is not None:
            self._keep_best(validated)
            self.reporter.epoch(
                epoch,
                progress.step,
                means,
                validated.metrics,
                validated.score,
                validated.gaps(means),
            )
        if self.growth is not None and not progress.finished:
            self._grow(self.growth)
        self.folder.save(self.state)

    def _steps(self) -> None:
        """Take the remaining steps of the current epoch, until a stop is asked for."""
        progress = self.state.progress
        self.state.network.train()
        clock = _Clock()
        for share in clock.watch(self.loader.shares(progress.epoch, progress.step_in_epoch)):
            values = self._step(share)
            clock.images += share.image_count
            progress.end_step(values)
            self.reporter.step(progress.step, values)
            if self._is_stopping():
                return
            if progress.step_in_epoch % self.config.train.save_every_steps == 0:
                self.folder.save(self.state)
        if clock.images:  # none if a stopped run continues after an epoch's last step
            self.reporter.speed(
                progress.epoch + 1,
                progress.step,
                clock.images / clock.total_s,
                self.world.max(clock.waited_s / clock.total_s),
                self.loader.workers,
            )

    def _step(self, share: Share) -> dict[str, float]:
        """Take one optimiser step and return the values to log."""
        state, train, step = self.state, self.config.train, self.state.progress.step
        factor = lr_factor(step, self.total_steps, train.warmup_steps)
        set_learning_rates(state.optimizer, factor)
        outputs, batches = self._forward(share)
        total, values = self.objective(outputs, batches, step)
        state.optimizer.zero_grad(set_to_none=True)
        if total.requires_grad:  # otherwise other processes have all images
            total.backward()  # type: ignore[no-untyped-call]
        self.world.sum_gradients(trained_parameters(state.optimizer))
        norms = clip_gradients(state.optimizer, train.clip_norm)
        state.optimizer.step()
        self.objective.after_step(step)
        state.ema.update(state.network, step=step)
        return values | {f"gradient_norm/{branch}": norm for branch, norm in norms.items()}

    def _forward(self, share: Share) -> tuple[list[Output], list[Batch]]:
        """Return the network's outputs for this process's images, and the images, part by part."""
        # Some images of each set train the neutral priors, which users' photos get. They are drawn
        # for the whole batch, so that it does not matter which process computes an image.
        neutral = torch.rand(share.image_count) < self.config.train.neutral_probability
        network: Callable[..., Output] = self.state.network
        if self.config.train.accumulate > 1:
            # Task weights need the losses of all parts, and gradients need the weights. So each
            # part is computed again for its gradients, and only one is in memory at a time.
            network = partial(checkpoint, self.state.network, use_reentrant=False)
        batches = [part.to(self.device) for part in share.parts]
        outputs = []
        in_half = self.config.train.in_half(self.device.type)
        with (
            self.world.own_random_numbers(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=in_half),
        ):
            for rows, batch in zip(share.rows, batches, strict=True):
                is_neutral = neutral[rows].to(self.device)[batch.photo]
                outputs.append(
                    network(batch.images, batch.dataset_index.masked_fill(is_neutral, 0))
                )
        return outputs, batches

    def _validate(self) -> Validated:
        """Measure the averaged weights; only the first process does so, for all."""
        if not self.world.is_first:
            return Validated()
        return self.validation.measure(self.folder.checkpoint(self.state), self._was_asked)

    def _keep_best(self, validated: Validated) -> None:
        """Save the best epoch, pass the indicators to the strategy, and stop after `patience`."""
        progress = self.state.progress
        # The other processes get the first one's results.
        score, *indicators = self.world.of_first(
            [validated.score, *self.objective.indicators(validated.results)]
        )
        self.state.weighting.observe(indicators)
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
            self.folder.save_best(self.state, validated.metrics)
        patience = self.config.train.patience
        if patience and progress.epoch - progress.best_epoch >= patience:
            progress.finished = True

    def _grow(self, growth: Growth) -> None:
        """Split a stage of the encoder between tasks if it is time."""
        decision = growth.after_epoch(self.state)
        if decision is not None:
            self.reporter.split(decision, self.state.progress.step)


class _Clock:
    """Measures how long an epoch's steps waited for data, in seconds."""

    def __init__(self) -> None:
        self.images = 0
        self.waited_s = 0.0
        self._started = time.monotonic()

    @property
    def total_s(self) -> float:
        return time.monotonic() - self._started

    def watch(self, shares: Iterator[Share]) -> Iterator[Share]:
        while True:
            asked = time.monotonic()
            share = next(shares, None)
            self.waited_s += time.monotonic() - asked
            if share is None:
                return
            yield share
