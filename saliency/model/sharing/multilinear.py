"""Multilinear relationships: a layer for each task, under a prior that learns their relations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.errors import require
from saliency.model.encoder import Encoder
from saliency.model.sharing.base import (
    Readers,
    SharedFeatures,
    Sharing,
    SharingOptions,
    for_heads,
)
from saliency.model.sharing.tensor_normal import flip_flop, penalty, to_correlations

WIDTH = 128
"""Largest D: rows of a task's layer and of two of the three covariances."""

START_STD = 1e-2
"""Standard deviation of the layers' start: features differ from hard sharing's by about .001."""

EPSILON = 0.05
"""Share of the identity in each covariance. They are estimated from one tensor, for the sides of
length D from D T columns, and with less of it become more extreme from sweep to sweep."""


class Multilinear(Sharing):
    """One encoder, and on its deepest features a linear layer for each task.

    `f_t = f + Q (W_t / D) Q^T f`

    f are the deepest features (C channels), at each place by itself, and W_t (D, D) the task's
    own. Up to C = 128 channels Q is the identity; for more, D = 128 and Q (C, D) are orthonormal
    directions drawn once and kept, so that layers and covariances stay small whatever C is. Were
    Q learned, it could grow while W shrinks under the penalty. With the divisor, a step of the
    optimiser that moves all of W_t by the rate moves a feature by at most that share of the
    features' mean size, as where a rate acts on a single mixing weight. W = 0 is hard sharing.

    The layers of all tasks together, W (D, D, T), have a tensor-normal prior:

    `penalty = 1/2 vec(W)^T (S_out (x) S_in (x) S_task)^-1 vec(W)`

    Every `update_every` steps the covariances get one sweep of closed-form maximum-likelihood
    updates from the present W (`tensor_normal.flip_flop`), each scaled to a mean diagonal
    of 1. They are not learned by gradients, so that their log-determinants are constants for W;
    left out, the penalty is >= 0. As they follow from W, which is equal in all processes, they are
    too (but for rounding between processors of different kinds). In averaged weights they are
    averages as well.

    `strength` is that of the MAP estimate: the loss is a mean over n images, so the prior counts
    1/n; n = 1,000 and a prior deviation of 1, at which a layer moves features by 1/sqrt(D) = 9 %
    of their size, give 1e-3.

    Shared, for strategies that look at gradients, are the encoder's parameters; its outputs,
    before the layers, are where the tasks meet.

    Cost: T D^2 parameters, and 2 C D + T (D^2 + C D) multiplications for each place of the
    coarsest feature, which is negligible beside the encoder.

    Source:
        Long, Cao, Wang, Yu, "Learning multiple tasks with multilinear relationship networks"
        (2017). There the layers replace fully connected ones; here they add to what the
        pretrained encoder gives.
    """

    basis: Tensor
    output_covariance: Tensor
    input_covariance: Tensor
    task_covariance: Tensor

    def __init__(self, encoder: Encoder, task_count: int, update_every: int) -> None:
        super().__init__(task_count)
        channels = encoder.channels[-1]
        width = min(channels, WIDTH)
        self.update_every = update_every
        basis = torch.eye(channels)
        if width < channels:
            basis = torch.linalg.qr(torch.randn(channels, width)).Q
        self.register_buffer("basis", basis.contiguous())  # (C, D)
        self.layers = nn.Parameter(START_STD * torch.randn(width, width, task_count))
        self.register_buffer("output_covariance", torch.eye(width))
        self.register_buffer("input_covariance", torch.eye(width))
        self.register_buffer("task_covariance", torch.eye(task_count))

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return the encoder's features for every task, the deepest through the task's layer."""
        features = encoder(images)
        if self.training:
            features = for_heads(features)
        *shallow, deepest = features
        by_task = tuple([*shallow, deepest + change] for change in self._changes(deepest))
        return SharedFeatures(by_task, tuple((f,) for f in features))

    def penalty(self, encoder: Encoder, readers: Readers) -> Tensor:
        """Return the prior's penalty on the tasks' layers."""
        return penalty(self.layers, self.covariances())

    def covariances(self) -> list[Tensor]:
        """Return the covariances of the layers' rows, their columns, and the tasks."""
        return [self.output_covariance, self.input_covariance, self.task_covariance]

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Update the covariances after every `update_every`-th step."""
        if (step + 1) % self.update_every == 0:
            found = flip_flop(self.layers.detach(), self.covariances(), EPSILON)
            for buffer, covariance in zip(self.covariances(), found, strict=True):
                buffer.copy_(covariance)

    def describe(self) -> dict[str, object]:
        """Return `task_correlation`: T rows of T, -1..1, in the order of the network's tasks."""
        return {"task_correlation": to_correlations(self.task_covariance).tolist()}

    def _changes(self, deepest: Tensor) -> Sequence[Tensor]:
        """Return each task's addition to the deepest features (B, C, h, w)."""
        width, _, tasks = self.layers.shape
        seen = F.conv2d(deepest, self.basis.T[:, :, None, None])
        stacked = self.layers.permute(2, 0, 1).reshape(tasks * width, width, 1, 1) / width
        return [
            F.conv2d(own, self.basis[:, :, None, None])
            for own in F.conv2d(seen, stacked).chunk(tasks, dim=1)
        ]


@dataclass(frozen=True, kw_only=True)
class MultilinearOptions(SharingOptions):
    """`sharing.name = "multilinear"`.

    Attributes:
        lr: Learning rate of the layers, far above the encoder's.
        strength: Factor of the penalty.
        update_every: Steps between updates of the covariances.
    """

    compiles: ClassVar[bool] = True

    name: Literal["multilinear"] = "multilinear"
    lr: float = 1e-2
    strength: float = 1e-3
    update_every: int = 20

    def __post_init__(self) -> None:
        require(self.lr >= 0, "lr", ">= 0", self.lr)
        require(self.strength >= 0, "strength", ">= 0", self.strength)
        require(self.update_every >= 1, "update_every", ">= 1", self.update_every)

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return Multilinear(encoder, task_count, self.update_every)
