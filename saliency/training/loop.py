"""The training loop: mixed batches, weighted tasks, averaged weights, validation, resuming."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from pydantic import ValidationError
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from saliency.checkpoint import Card, Checkpoint, save_checkpoint
from saliency.devices import resolve_device
from saliency.errors import ConfigError, SaliencyError
from saliency.evaluation import SetResult, evaluate
from saliency.locks import hold_folder
from saliency.predictor import Predictor
from saliency.preprocessing import Preprocessing
from saliency.stopping import stop_requests
from saliency.tasks import (
    Task,
    count_labels,
    mean_task_losses,
    score_error_losses,
)
from saliency.training.anchor import FeatureAnchor
from saliency.training.balancing import (
    SharedTensors,
    build_weighting,
    constant_losses,
    gradient_cosines,
    indicators,
    mean_losses,
)
from saliency.training.building import (
    build_network,
    build_tasks,
    compile_encoder,
    least_rated_gradient,
)
from saliency.training.config import TrainingConfig, to_public
from saliency.training.data import (
    LabelledSets,
    PlainBatches,
    Share,
    TrainingLoader,
    build_sets,
    living_loaders,
    teach,
)
from saliency.training.distributed import World
from saliency.training.growth import Growth, grow_as
from saliency.training.optimization import (
    build_optimizer,
    clip_gradients,
    lr_factor,
    set_learning_rates,
    trained_parameters,
)
from saliency.training.report import Reporter, Silence
from saliency.training.start import fit_read_outs
from saliency.training.state import (
    Progress,
    TrainingState,
    load_config_of,
    load_state,
    load_tree_of,
    save_state,
)
from saliency.types import Batch, Output

BEST, LAST, STATE = "best.safetensors", "last.safetensors", "state.safetensors"

COMPILED = ("hard", "joint_feature", "mtan", "multilinear")
"""Sharing schemes with one encoder that is computed as a whole."""

COSINE_EVERY = 20
"""Steps between cosines of the tasks' gradients, which cost a backward pass of the heads."""

PRIOR_IMAGES, GAP_IMAGES, AFFINITY_IMAGES = 500, 200, 500
"""Images of a kind at most: of training for constant predictions, of validation for its losses, of
training for what tasks agree on."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        checkpoint: The best checkpoint by validation.
        score: Its validation score: the mean of CC over the saliency sets and SRCC over the rated
            sets, or the one of them that there is; without either, of what attributes have.
        epoch: Epoch that reached it.
        interrupted: Whether someone stopped the run before its end.
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
    """Train a network, or go on with a run that was stopped.

    `run_dir` receives `best.safetensors` and `last.safetensors` (checkpoints for `Predictor`),
    `state.safetensors` (for resuming), `metrics.jsonl` and TensorBoard's files; with
    `sharing.name` = "adaptive" also `splits.jsonl`. A run that finds a state there goes on from it
    and ends as it would have without the stop.

    Several processes may share a run: each calls this with its own `world` and device, and
    computes its share of every batch. Their number changes the speed, not what is learned but for
    rounding, and may change between a stop and going on. They read the same `run_dir`; the first
    one alone writes to it, validates and reports.

    Args:
        config: What to do.
        run_dir: Folder of this run.
        data_root: Folder of the data sets.
        device: As for `Predictor.load`.
        reporter: Where progress goes; silent if None, but for the files.
        world: The processes that share the run, from `join_world`; this one alone if None.

    Raises:
        BusyError: Another run is in `run_dir`.
        ConfigError: The config makes no sense, or `run_dir` holds a run of another config.
        DatasetError: A data set is not what its layout says.
        SaliencyError: The loss is no longer finite, or another process is gone.
    """
    if config.train.compile and config.sharing.name not in COMPILED:
        raise ConfigError(
            f"`train.compile` goes with sharing.name = {' or '.join(COMPILED)}, where the encoder "
            f"is computed as a whole. Found {config.sharing.name!r}."
        )
    world = world or World()
    with hold_folder(run_dir) if world.is_first else nullcontext():
        return _train(config, run_dir, data_root, device, reporter, world)


def _train(
    config: TrainingConfig,
    run_dir: Path,
    data_root: Path | None,
    device: str,
    reporter: Reporter | None,
    world: World,
) -> TrainingResult:
    """Do what `train` does in a folder that is this run's alone."""
    found = resolve_device(device)
    reporter = (reporter or Reporter(run_dir)) if world.is_first else Silence(run_dir)
    _check_same_config(run_dir / STATE, config)
    goes_on = world.any(world.is_first and (run_dir / STATE).is_file())

    torch.manual_seed(config.train.seed)
    train_sets = teach(build_sets(config.data, "train", data_root), config, found)
    validation_sets = build_sets(config.data, "val", data_root)
    network = build_network(config, data_root)
    preprocessing = Preprocessing(
        config.data.height, config.data.width, network.encoder.mean, network.encoder.std
    )
    tasks = build_tasks(config, train_sets)
    weighting = build_weighting(config.weighting, tasks).to(found)
    weighting.add_up = world.sum
    network.to(found).to(memory_format=torch.channels_last)
    both = config.model.saliency and config.model.aesthetics
    anchor = FeatureAnchor(network) if both and config.train.feature_anchor else None
    growth = None
    if config.sharing.name == "adaptive":
        batches = PlainBatches(train_sets, preprocessing, AFFINITY_IMAGES)
        growth = Growth(config, network, tasks, batches, found, world)
    if goes_on:
        grow_as(network, load_tree_of(run_dir / STATE))
    shared = SharedTensors(network)
    shared.check(config.weighting, weighting.needs, least_rated_gradient(config))
    if not goes_on and world.is_first:
        if network.aesthetic_stages:
            fit_read_outs(network, preprocessing, train_sets.rated, config.model.ridge, found)
        plain = PlainBatches(train_sets, preprocessing, PRIOR_IMAGES)
        weighting.start(
            lambda: constant_losses(tasks, plain, auxiliary=bool(config.model.auxiliary_outputs))
        )
    world.copy_first(network, weighting)
    state = TrainingState(
        network=network,
        ema=ModelEmaV3(network, decay=config.train.ema_decay, use_warmup=True),
        weighting=weighting,
        optimizer=build_optimizer(network, weighting, config.train, config.sharing.lr),
        progress=Progress(),
    )
    if goes_on:
        load_state(run_dir / STATE, state)
    if config.train.compile:
        compile_encoder(network)
    loader = TrainingLoader(config, train_sets, preprocessing, world)
    run = _Run(
        config,
        run_dir,
        state,
        tasks,
        shared,
        anchor,
        growth,
        loader,
        validation_sets,
        preprocessing,
        found,
        reporter,
        world,
    )
    with reporter, stop_requests() as was_asked:
        # Who asks one process asks all: they stop after the same step.
        return run.to_end(lambda: world.any(was_asked()))


class _Run:
    """The parts of one run, so that its steps need not pass them around."""

    def __init__(
        self,
        config: TrainingConfig,
        run_dir: Path,
        state: TrainingState,
        tasks: tuple[Task, ...],
        shared: SharedTensors,
        anchor: FeatureAnchor | None,
        growth: Growth | None,
        loader: TrainingLoader,
        validation_sets: LabelledSets,
        preprocessing: Preprocessing,
        device: torch.device,
        reporter: Reporter,
        world: World,
    ) -> None:
        self.config = config
        self.run_dir = run_dir
        self.state = state
        self.tasks = tasks
        self.shared = shared
        self.anchor = anchor
        self.growth = growth
        self.loader = loader
        self.validation_sets = validation_sets
        self.preprocessing = preprocessing
        self.device = device
        self.reporter = reporter
        self.world = world
        given = config.sharing.strength
        self.strength = state.network.sharing.strength if given is None else given
        self.states_score_errors = config.model.heteroscedastic and config.model.aesthetics
        self.commit = current_commit()  # now: the checkout may move on while this runs
        self.total_steps = config.train.epochs * loader.steps_per_epoch
        wanted = config.train.precision
        self.autocast = wanted == "bfloat16" or (wanted == "auto" and device.type == "cuda")

    def to_end(self, is_stopping: Callable[[], bool]) -> TrainingResult:
        """Train until the last epoch, early stopping or a stop request."""
        progress = self.state.progress
        self.reporter.start(self.config, self.total_steps, progress.step)
        with living_loaders():
            while not progress.finished and not is_stopping():
                self._epoch(is_stopping)
        if is_stopping():
            self._save()
        best = self.run_dir / (BEST if progress.best_epoch else LAST)
        return TrainingResult(best, progress.best_score, progress.best_epoch, not progress.finished)

    def _epoch(self, is_stopping: Callable[[], bool]) -> None:
        """Train what is left of the current epoch, then validate and save."""
        progress, train = self.state.progress, self.config.train
        self.state.network.train()
        clock = _Clock()
        for share in clock.watch(self.loader.shares(progress.epoch, progress.step_in_epoch)):
            values = self._step(share)
            clock.images += share.image_count
            for name, value in values.items():
                progress.sums[name] = progress.sums.get(name, 0.0) + value
                progress.counts[name] = progress.counts.get(name, 0) + 1
            progress.step += 1
            progress.step_in_epoch += 1
            self.reporter.step(progress.step, values)
            if is_stopping():
                return
            if progress.step_in_epoch % train.save_every_steps == 0:
                self._save()
        means = {name: total / progress.counts[name] for name, total in progress.sums.items()}
        self.state.weighting.end_epoch(
            [means.get(f"loss/{task.name}", float("nan")) for task in self.tasks]
        )
        progress.epoch += 1
        if clock.images:  # a stopped run may go on right behind an epoch's last step
            images_per_s = clock.images / clock.total_s
            waiting = self.world.max(clock.waited_s / clock.total_s)
            workers = self.loader.workers
            self.reporter.speed(progress.epoch, progress.step, images_per_s, waiting, workers)
        progress.step_in_epoch = 0
        progress.sums, progress.counts = {}, {}
        progress.finished = progress.epoch >= train.epochs
        if progress.finished or progress.epoch % train.validate_every == 0:
            self._validate(means)
        if self.growth is not None and not progress.finished:
            self._grow(self.growth)
        self._save()

    def _grow(self, growth: Growth) -> None:
        """Split a stage of the encoder between tasks if it is time."""
        decision = growth.after_epoch(self.state)
        if decision is not None:
            self.shared = SharedTensors(self.state.network)
            self.reporter.split(decision, self.state.progress.step)

    def _step(self, share: Share) -> dict[str, float]:
        """Take one optimiser step and return what is logged of it."""
        train, state, world = self.config.train, self.state, self.world
        factor = lr_factor(state.progress.step, self.total_steps, train.warmup_steps)
        set_learning_rates(state.optimizer, factor)
        (labels,) = world.sum([count_labels(self.tasks, share.parts)])
        present = [count > 0 for count in labels.tolist()]
        outputs, my_losses, my_drift, my_error = self._forward(share, labels.tolist())
        *losses, drift, error = world.total([*my_losses, my_drift, my_error])
        weighting = state.weighting
        total: Tensor = weighting(losses, present, self.shared.of(weighting.needs, *outputs))
        weights = weighting.normalized if self.config.weighting.normalize else weighting.current
        if self.config.weighting.normalize:
            total = total * len(self.tasks) / weighting.current.sum()
        values: dict[str, float] = {}
        if (state.progress.step + 1) % COSINE_EVERY == 0:
            layer = self.shared.of("last_layer")
            values |= gradient_cosines(self.tasks, losses, present, layer, world.sum)
        if self.anchor is not None:
            total = total + train.feature_anchor * drift
            values["feature_drift"] = float(drift.detach())
        if self.states_score_errors:
            total = total + error
            if labels[self._number_of_scores()]:
                values["score_error"] = float(error.detach())
        penalty = state.network.penalty() if self.strength else None
        if penalty is not None:
            values["penalty"] = float(penalty.detach())
            if world.is_first:  # gradients are summed over processes
                total = total + self.strength * penalty
        if not torch.isfinite(total):
            raise SaliencyError(
                f"The loss should be finite. Found {float(total.detach())} at step "
                f"{state.progress.step}; lower the learning rates, or train in float32."
            )
        state.optimizer.zero_grad(set_to_none=True)
        if total.requires_grad:  # else other processes have all the images
            total.backward()  # type: ignore[no-untyped-call]
        world.sum_gradients(trained_parameters(state.optimizer))
        norms = clip_gradients(state.optimizer, train.clip_norm)
        state.optimizer.step()
        state.network.sharing.after_step(state.progress.step)
        state.ema.update(state.network, step=state.progress.step)
        values["loss"] = float(total.detach())
        values |= {f"gradient_norm/{branch}": norm for branch, norm in norms.items()}
        for task, loss, here in zip(self.tasks, losses, present, strict=True):
            if here:
                values[f"loss/{task.name}"] = float(loss.detach())
        for task, weight, part in zip(self.tasks, weights, weighting.normalized, strict=True):
            values[f"weight/{task.name}"] = float(weight)  # what the loss was multiplied by
            values[f"share/{task.name}"] = float(part)  # the same, so that all sum to K
        return values

    def _forward(
        self, share: Share, labels: Sequence[int]
    ) -> tuple[list[Output], list[Tensor], Tensor, Tensor]:
        """Compute this process's images.

        Args:
            share: The images.
            labels: K numbers of images in the whole batch that have each task's label.

        Returns:
            Outputs of each part; and what these images add to the batch's mean loss of each task,
            to its mean drift of the features, and to the mean loss of its scores' stated errors.
        """
        # Some of each set's images train the neutral priors, those of users' photos. Drawn for
        # the whole batch, so that it does not matter who computes which image.
        neutral = torch.rand(share.image_count) < self.config.train.neutral_probability
        outputs = []
        losses = [torch.zeros((), device=self.device) for _ in self.tasks]
        drift = torch.zeros((), device=self.device)
        error = torch.zeros((), device=self.device)
        with self.world.own_random_numbers():
            for rows, part in zip(share.rows, share.parts, strict=True):
                batch = part.to(self.device)
                dataset_index = batch.dataset_index.masked_fill(neutral[rows].to(self.device), 0)
                output = self._predict(batch.images, dataset_index)
                outputs.append(output)
                found, _ = mean_task_losses(self.tasks, output, batch, labels)
                losses = [before + loss for before, loss in zip(losses, found, strict=True)]
                rated = batch.has_rating
                if self.states_score_errors and rated.any():
                    count = labels[self._number_of_scores()]
                    error = error + score_error_losses(output, batch)[rated].sum() / count
                if self.anchor is not None and output.aesthetic_features is not None:
                    here = self.anchor.loss(batch.images, output.aesthetic_features.float())
                    drift = drift + here * (len(batch.images) / share.image_count)
        return outputs, losses, drift, error

    def _number_of_scores(self) -> int:
        return [task.name for task in self.tasks].index("aesthetics")

    def _predict(self, images: Tensor, dataset_index: Tensor) -> Output:
        network: Callable[..., Output] = self.state.network
        if self.config.train.accumulate > 1:
            # The weights of the tasks need the losses of all parts, the gradients the weights. So
            # each part is computed again for its gradients, and no two need memory at a time.
            network = partial(checkpoint, self.state.network, use_reentrant=False)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            return network(images, dataset_index)

    def _validate(self, means: dict[str, float]) -> None:
        """Measure the averaged weights through a Predictor and keep the best."""
        progress = self.state.progress
        results = self._evaluate() if self.world.is_first else []
        # The others hear the verdict.
        score, *found = self.world.of_first(
            [validation_score(results), *indicators(self.tasks, results)]
        )
        self.state.weighting.observe(found)
        metrics = {r.name: {k: m.value for k, m in r.measures.items()} for r in results}
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
            self._save_as(BEST, metrics)
        patience = self.config.train.patience
        if patience and progress.epoch - progress.best_epoch >= patience:
            progress.finished = True
        if self.world.is_first:
            gaps = self._gaps(means)
            self.reporter.epoch(progress.epoch, progress.step, means, metrics, score, gaps)

    def _evaluate(self) -> list[SetResult]:
        predictor = Predictor(self._checkpoint(self._card({})), self.device)
        return [evaluate(predictor, s, full=False) for s in self.validation_sets]

    def _gaps(self, means: dict[str, float]) -> dict[str, float]:
        """Return by how much each task's loss is higher on validation images.

        The averaged weights in the neutral setting on whole images, against the mean over the
        epoch of the weights in training on augmented ones.
        """
        network = self.state.ema.module.eval()

        def predict(batch: Batch) -> Output:
            output: Output = network(batch.images)
            return output

        plain = PlainBatches(self.validation_sets, self.preprocessing, GAP_IMAGES)
        losses = mean_losses(self.tasks, predict, (batch.to(self.device) for batch in plain))
        return {
            task.name: loss - means[f"loss/{task.name}"]
            for task, loss in zip(self.tasks, losses, strict=True)
            if f"loss/{task.name}" in means and not math.isnan(loss)
        }

    def _save(self) -> None:
        """Write the checkpoint of the averaged weights and the state for resuming."""
        self._save_as(LAST, {})
        if self.world.is_first:
            save_state(self.run_dir / STATE, self.state, self.config)

    def _save_as(self, name: str, metrics: dict[str, dict[str, float]]) -> None:
        if self.world.is_first:
            save_checkpoint(self.run_dir / name, self._checkpoint(self._card(metrics)))

    def _checkpoint(self, card: Card) -> Checkpoint:
        return Checkpoint(self.state.ema.module, self.preprocessing, card)

    def _card(self, metrics: dict[str, dict[str, float]]) -> Card:
        return Card(
            data=tuple(s.name for s in self.config.data.sets),
            metrics=metrics,
            config=to_public(self.config),
            commit=self.commit,
        )


class _Clock:
    """How long an epoch's steps waited for data, in seconds."""

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


def validation_score(results: list[SetResult]) -> float:
    """Return the mean over tasks of CC (saliency sets) and SRCC (rated sets).

    Where neither main task is learned, of the attributes' SRCC and accuracy.
    """
    measured = dict.fromkeys(metric for result in results for metric in result.measures)
    chosen = [metric for metric in measured if metric in ("CC", "SRCC")]
    means = []
    for metric in chosen or [m for m in measured if m.endswith((" SRCC", " accuracy"))]:
        values = [r.measures[metric].value for r in results if metric in r.measures]
        means.append(sum(values) / len(values))
    return sum(means) / len(means) if means else float("-inf")


def current_commit() -> str:
    """Return the commit of this code, with `-dirty` for uncommitted changes; empty outside git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def _check_same_config(state_path: Path, config: TrainingConfig) -> None:
    if not state_path.is_file():
        return
    try:
        same = TrainingConfig.model_validate_json(load_config_of(state_path)) == config
    except ValidationError:  # another version of this package wrote it
        same = False
    if not same:
        raise ConfigError(
            f"{state_path.parent} should be a new folder or a run of this config. Found a run of "
            "another; name another folder with -o, or remove it."
        )
