"""The one interface of all sharing schemes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from saliency.model.encoder import Encoder

Readers = Sequence[Sequence[Tensor]]
"""For each encoder stage, the weights of every task's head that read it: one (rows, C_i) a task,
with no rows where a head does not read the stage."""


class SharedFeatures(NamedTuple):
    """What the tasks' heads read.

    Attributes:
        by_task: For each task one (B, C_i, h_i, w_i) a stage, shallow to deep, and then the final
            features if the encoder gives them.
        met: For each stage the tensors where gradients of the heads are looked at
            (`weighting.shared = "features"`). A gradient here stops short of the encoder. In
            evaluation they mean nothing.
    """

    by_task: tuple[list[Tensor], ...]
    met: tuple[tuple[Tensor, ...], ...]


class Sharing(nn.Module):
    """How the tasks' branches come by their features.

    The network owns one encoder, the shared one or the first task's; a scheme brings what it adds
    to that: further encoders, matrices that mix features, masks, penalties. T is the number of
    tasks, in the order of the network's `tasks`.

    Attributes:
        strength: What the penalty is multiplied by unless the config says otherwise; 0 for
            schemes without one.
        others: The encoders of the tasks after the first, where each has its own.
    """

    strength = 0.0

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
        """Return the trained parameters that learn as an encoder does; what the tasks share."""
        return [p for e in self.encoders(encoder) for p in e.parameters() if p.requires_grad]

    def mixing_parameters(self) -> list[nn.Parameter]:
        """Return the trained parameters that are the scheme's own, with their own rate."""
        return [p for name, p in self.named_parameters() if not name.startswith("others.")]

    def last_layers(self, encoder: Encoder, stage: int) -> list[nn.Parameter]:
        """Return the weights of the last trained layers before the heads that all tasks use.

        Args:
            encoder: The network's own.
            stage: The deepest feature that all heads read.
        """
        layers = [e.last_layer(stage) for e in self.encoders(encoder)]
        return [layer for layer in layers if layer is not None]

    def penalty(self, encoder: Encoder, readers: Readers) -> Tensor | None:
        """Return a scalar >= 0 that is added to the loss, times `strength`; None for none.

        Args:
            encoder: The network's own.
            readers: The heads' weights.
        """
        return None

    def after_step(self, step: int) -> None:
        """Hear that an optimiser step, counted from 0, was taken."""

    def describe(self) -> dict[str, object]:
        """Return what was learned about the tasks, for people and JSON; empty if nothing is."""
        return {}


def copies(encoder: Encoder, count: int) -> nn.ModuleList:
    """Return `count` encoders that start as `encoder` is."""
    return nn.ModuleList(copy.deepcopy(encoder) for _ in range(count))


def for_heads(features: Sequence[Tensor]) -> list[Tensor]:
    """Return the features as tensors of their own, where a gradient is the heads' alone."""
    return [feature.view_as(feature) for feature in features]
