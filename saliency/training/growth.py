"""Grows a shared encoder into a tree of tasks during training.

After certain epochs one stage of the encoder may be split between groups of tasks, beginning with
the deepest stage. The next step depends only on the epoch and the tree, so that a stopped run needs
nothing else to continue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from saliency.errors import ConfigError
from saliency.model import SaliencyNetwork
from saliency.model.sharing import AdaptiveOptions, AdaptiveSharing, GrowthPlan
from saliency.model.sharing.adaptive import Copied, to_lists
from saliency.model.sharing.affinity import choose_groups, task_affinity
from saliency.model.sharing.base import Tree
from saliency.tasks import Task
from saliency.training.config import TrainingConfig
from saliency.training.distributed import World
from saliency.training.optimization import build_optimizer
from saliency.training.state import TrainingState
from saliency.types import Batch


@dataclass(frozen=True)
class Decision:
    """The decision about a stage.

    Attributes:
        epoch: Epoch after which it was made, counted from 1.
        stride: The stage's stride, in input pixels.
        final: Whether the stage gives the final features.
        groups: Names of the tasks in each group; a single group if the stage stays shared.
        affinity: The tasks' affinities, 0..1, by `one~other`.
        tree: For each stage, shallow to deep, the group of each task from now on.
    """

    epoch: int
    stride: int
    final: bool
    groups: tuple[tuple[str, ...], ...]
    affinity: dict[str, float]
    tree: Tree


class Growth:
    """Decides after an epoch whether and how to split a stage, and does so."""

    def __init__(
        self,
        plan: GrowthPlan,
        config: TrainingConfig,
        network: SaliencyNetwork,
        tasks: tuple[Task, ...],
        batches: Iterable[Batch],
        device: torch.device,
        world: World,
    ) -> None:
        """Plan the splits.

        Args:
            plan: The sharing scheme's options of growth.
            config: The run's configuration.
            network: The network in training; its frozen stages stay shared.
            tasks: The tasks, in the network's order.
            batches: Training images without augmentation, on which errors are measured; they are
                iterated once for each decision.
            device: The network's device.
            world: The first process decides for all.

        Raises:
            ConfigError: A split would come after the run's last step.
        """
        self._plan = plan
        self._config = config
        self._tasks = tasks
        self._batches = batches
        self._device = device
        self._world = world
        self._epochs = split_epochs(plan.splits, config.train.epochs, len(_trained_stages(network)))

    def after_epoch(self, state: TrainingState) -> Decision | None:
        """Split a stage of the live network and of the averaged one if it is time.

        The n-th chosen epoch decides about the n-th stage, counted from the deepest. If a stage
        stays shared, all stages before it stay shared too. A split makes a new optimiser with the
        moments of the old one; copied layers get the moments of the layers that they copy.

        Returns:
            The decision; None if it is not time, or nothing is left to decide.
        """
        network, epoch = state.network, state.progress.epoch
        if epoch not in self._epochs:
            return None
        tree = _sharing_of(network).tree
        stage = len(tree) - 1 - self._epochs.index(epoch)
        deepest = stage == len(tree) - 1
        is_next = (deepest or any(tree[stage + 1])) and not any(tree[stage])
        if stage not in _trained_stages(network) or not is_next:
            return None
        count = len(self._tasks)
        # The heads are the branches above the deepest stage.
        branches = tuple(range(count)) if deepest else tree[stage + 1]
        measured = [0.0] * (count * count + count)
        if self._world.is_first:
            affinity, groups = self._choose(state, stage, branches)
            measured = [*affinity.flatten().tolist(), *map(float, groups)]
        found = self._world.of_first(measured)
        groups = tuple(int(group) for group in found[count * count :])
        if any(groups):
            self._split(state, stage, groups)
        return Decision(
            epoch,
            _stride(network, stage),
            stage == len(network.encoder.strides),
            tuple(tuple(self._tasks[t].name for t in group) for group in to_lists(groups)),
            {
                f"{self._tasks[i].name}~{self._tasks[j].name}": found[i * count + j]
                for i in range(count)
                for j in range(i + 1, count)
            },
            _sharing_of(network).tree,
        )

    def _choose(
        self, state: TrainingState, stage: int, branches: tuple[int, ...]
    ) -> tuple[Tensor, tuple[int, ...]]:
        """Return the tasks' affinities (T, T) and the group of each task at a stage."""
        network = state.ema.module
        errors = image_errors(network, self._tasks, self._batches, self._device)
        affinity = task_affinity(errors)
        groups = choose_groups(
            affinity,
            branches,
            self._plan.max_groups,
            poolings=round(math.log2(_stride(network, -1) / _stride(network, stage))),
            branching=self._plan.branching,
        )
        return affinity, groups

    def _split(self, state: TrainingState, stage: int, groups: tuple[int, ...]) -> None:
        copied = split_stage(state.network, stage, groups)
        split_stage(state.ema.module, stage, groups)
        config = self._config
        optimizer = build_optimizer(state.network, state.weighting, config.train, config.sharing.lr)
        carry_moments(state.optimizer, optimizer, copied)
        state.optimizer = optimizer


def split_epochs(given: tuple[int, ...], epochs: int, stages: int) -> tuple[int, ...]:
    """Return the epochs after which a stage is decided, the n-th for the n-th deepest stage.

    By default they lie evenly in the first half of the run, one for each stage but at most one per
    epoch; the second half trains the whole tree. A run of one epoch has none.

    Args:
        given: The epochs that the recipe gives, in rising order; empty for the default.
        epochs: Number of epochs of the run.
        stages: Number of trained stages.

    Raises:
        ConfigError: A given epoch is the last one or later, so that no training would follow.
    """
    if given and given[-1] >= epochs:
        raise ConfigError(
            f"`sharing.splits` should name epochs before the last one, {epochs}, so that split "
            f"stages are trained. Found {list(given)}."
        )
    half = epochs // 2
    return given or tuple(sorted({-(-half * k // stages) for k in range(1, stages + 1)} - {0}))


def grow_as(network: SaliencyNetwork, tree: Tree) -> None:
    """Split a network until it has the shape of `tree`; an empty tree changes nothing.

    Raises:
        ConfigError: `tree` does not fit the network's stages and tasks.
    """
    for stage in reversed(range(len(tree))):
        if tree[stage] != _sharing_of(network).tree[stage]:
            split_stage(network, stage, tree[stage])


def split_stage(network: SaliencyNetwork, stage: int, groups: tuple[int, ...]) -> list[Copied]:
    """Split a stage in place, so that a checkpoint of the network rebuilds the tree.

    Returns:
        The copies that were made.
    """
    sharing = _sharing_of(network)
    copied = sharing.split(network.encoder, stage, groups)
    options = network.architecture.sharing
    assert isinstance(options, AdaptiveOptions)  # noqa: S101
    grown = replace(options, tree=sharing.tree)
    network.architecture = replace(network.architecture, sharing=grown)
    return copied


def carry_moments(
    old: torch.optim.Optimizer, new: torch.optim.Optimizer, copied: Sequence[Copied]
) -> None:
    """Give `new` the moments of `old`, and give copied layers those of their originals."""
    sources = {
        ours: theirs
        for source, made in copied
        for theirs, ours in zip(source.parameters(), made.parameters(), strict=True)
    }
    for group in new.param_groups:
        for parameter in group["params"]:
            moments = old.state.get(sources.get(parameter, parameter))
            if moments:
                new.state[parameter] = {name: value.clone() for name, value in moments.items()}


@torch.no_grad()
def image_errors(
    network: SaliencyNetwork,
    tasks: Sequence[Task],
    batches: Iterable[Batch],
    device: torch.device,
) -> Tensor:
    """Return (N, T) losses of each image and task in the neutral setting; nan without a label."""
    network.eval()
    rows = []
    for plain in batches:
        batch = plain.to(device)
        output = network(batch.images)
        losses = torch.full((len(batch.images), len(tasks)), math.nan, dtype=torch.double)
        for number, task in enumerate(tasks):
            here = task.present(batch)
            if here.any():
                losses[here.cpu(), number] = task.losses(output, batch)[here].double().cpu()
        rows.append(losses)
    return torch.cat(rows)


def _sharing_of(network: SaliencyNetwork) -> AdaptiveSharing:
    if not isinstance(network.sharing, AdaptiveSharing):
        raise ConfigError(
            "Only a network with sharing.name = 'adaptive' can grow. Found "
            f"{network.architecture.sharing.name!r}."
        )
    return network.sharing


def _stride(network: SaliencyNetwork, stage: int) -> int:
    """Return the input pixels per feature pixel of a stage; final features have the deepest's."""
    strides = network.encoder.strides
    return strides[min(stage, len(strides) - 1)]


def _trained_stages(network: SaliencyNetwork) -> list[int]:
    """Return the trained stages; copies of frozen ones would stay equal to their originals."""
    stages: list[nn.Module] = network.encoder.stages()
    return [i for i, s in enumerate(stages) if any(p.requires_grad for p in s.parameters())]
