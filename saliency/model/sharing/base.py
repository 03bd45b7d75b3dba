"""The interface of all sharing schemes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from saliency.model.encoder import Encoder

Readers = Sequence[Sequence[Tensor]]
"""For each encoder stage, the weights of every task's head that read it: one (rows, C_i) for
each task, with no rows if a head does not read the stage."""

Tree = tuple[tuple[int, ...], ...]
"""For each encoder stage, shallow to deep, the group of each task."""


class SharedFeatures(NamedTuple):
    """The features that the tasks' heads read.

    Attributes:
        by_task: For each task one (B, C_i, h_i, w_i) for each stage, shallow to deep, and then the
            final features if the encoder gives them.
        measured: For each stage the tensors at which gradients of the heads are measured
            (`weighting.shared = "features"`). A gradient here stops short of the encoder. In
            evaluation they have no meaning.
    """

    by_task: tuple[list[Tensor], ...]
    measured: tuple[tuple[Tensor, ...], ...]


class Sharing(nn.Module):
    """Base class of sharing schemes, which give each task its features.

    The network owns one encoder, the shared one or the first task's; a scheme holds its additions
    to that: further encoders, matrices that mix features, masks, penalties. T is the number of
    tasks, in the order of the network's `tasks`.

    Attributes:
        others: The encoders of the tasks after the first, if each has its own.
    """

    def __init__(self, task_count: int) -> None:
        super().__init__()
        self.task_count = task_count
        self.others = nn.ModuleList()

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return each task's features of `images` (B, 3, h, w), normalised."""
        raise NotImplementedError

    def encoders(self, encoder: Encoder) -> list[Encoder]:
        """Return all encoders, the network's own first."""
        return [encoder, *(other for other in self.others if isinstance(other, Encoder))]

    def encoder_parameters(self, encoder: Encoder) -> list[nn.Parameter]:
        """Return the trained parameters that the tasks share, which learn at the encoder's rate."""
        return [p for e in self.encoders(encoder) for p in e.parameters() if p.requires_grad]

    def mixing_parameters(self) -> list[nn.Parameter]:
        """Return the scheme's own trained parameters, which have their own learning rate."""
        return [p for name, p in self.named_parameters() if not name.startswith("others.")]

    def last_layers(self, encoder: Encoder, stage: int) -> list[nn.Parameter]:
        """Return the weights of the last trained layers before the heads that all tasks use.

        Args:
            encoder: The network's own encoder.
            stage: The deepest feature that all heads read.
        """
        layers = [e.last_layer(stage) for e in self.encoders(encoder)]
        return [layer for layer in layers if layer is not None]

    def penalty(self, encoder: Encoder, readers: Readers) -> Tensor | None:
        """Return a scalar >= 0 for the loss, times `SharingOptions.strength`; None for none.

        Args:
            encoder: The network's own encoder.
            readers: The heads' weights.
        """
        return None

    def after_step(self, step: int) -> None:
        """Called after each optimiser step, counted from 0."""

    def describe(self) -> dict[str, object]:
        """Return what was learned about the tasks, for people and JSON; empty if nothing was."""
        return {}


class GrowthPlan(NamedTuple):
    """When a scheme's stages may be split between tasks while it is trained, and how readily.

    Attributes:
        splits: Epochs after which a stage may be split, deepest first; (): chosen by the training.
        max_groups: Most groups that a stage may be split into.
        branching: How readily a stage is split, see `affinity.choose_groups`.
    """

    splits: tuple[int, ...]
    max_groups: int
    branching: float


@dataclass(frozen=True, kw_only=True)
class SharingOptions:
    """Base class of the options of schemes, the recipe's table `sharing`.

    Options are plain data and stored in checkpoints. They also say what a scheme can do, so that
    this is known before a network is built.

    Attributes:
        name: Name of the scheme: a literal, which is also the name of its file.
        compiles: Whether `train.compile` goes with it: the network's one encoder is called as a
            whole.
    """

    compiles: ClassVar[bool] = False

    name: str = ""

    @property
    def lr(self) -> float:
        """Learning rate of what mixes the tasks' features; 0 where nothing does."""
        return 0.0

    @property
    def strength(self) -> float:
        """Factor of the penalty; 0 for schemes without one."""
        return 0.0

    @property
    def growth(self) -> GrowthPlan | None:
        """How it grows while it is trained; None if it stays as it is built."""
        return None

    @property
    def tree(self) -> Tree:
        """Tree that it grew into; empty for schemes that do not grow."""
        return ()

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme, as it starts.

        Args:
            encoder: The network's own; further ones start as it is.
            task_count: T.

        Raises:
            ConfigError: The scheme does not go with this encoder or number of tasks.
        """
        raise NotImplementedError


def copies(encoder: Encoder, count: int) -> nn.ModuleList:
    """Return `count` encoders that start as `encoder` is."""
    return nn.ModuleList(copy.deepcopy(encoder) for _ in range(count))


def for_heads(features: Sequence[Tensor]) -> list[Tensor]:
    """Return the features as tensors of their own, where a gradient is the heads' alone."""
    return [feature.view_as(feature) for feature in features]
