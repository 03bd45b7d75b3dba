"""The multi-task attention network: one encoder, and masks that choose from it for each task."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from saliency.errors import require
from saliency.model.encoder import Encoder
from saliency.model.sharing.base import SharedFeatures, Sharing, SharingOptions, for_heads

FIRST_STRIDE = 4
"""Heads read from here on by default; finer features are shared without masks."""

OPEN = 3.0
"""Bias of the masks at the start: sigmoid(3) lets 95 % through."""

NARROWER = 4
"""Factor by which the masks are computed in fewer channels."""


class Mtan(Sharing):
    """All tasks share an encoder; each looks at its features through masks of its own.

    `a_t,i = sigmoid(h_t,i([p_i ; f_i(a_t,i-1 * p_i-1)]))`, task t reads `a_t,i * p_i`

    p_i are the encoder's features of stage i. h are two 1x1 convolutions of each task; f, a
    separable 3x3 convolution that all tasks share, brings what the task saw in the finer stage to
    this one's size. With masks of 1 this is hard sharing, and it starts near that.

    Shared are the encoder's parameters; its outputs, before the masks, are where the tasks meet.

    Cost: one encoder; the masks add about C_i^2 / 2 parameters for each task and stage, and as
    many multiplications at each place.

    Source:
        Liu, Johns, Davison, "End-to-end multi-task learning with attention" (2019).

    Note:
        The paper has full 3x3 convolutions, batch normalisation, and the first layer of each stage
        in place of p_i beside f; the encoders here have no such layer in common.
    """

    def __init__(self, encoder: Encoder, task_count: int) -> None:
        super().__init__(task_count)
        strides = list(encoder.strides)
        strides += strides[-1:] * (len(encoder.channels) - len(strides))  # the final features
        self.first = next((i for i, s in enumerate(strides) if s >= FIRST_STRIDE), len(strides))
        widths = encoder.channels[self.first :]
        steps = [after // before for before, after in pairwise(strides[self.first :])]
        self.descents = nn.ModuleList(
            _descend(before, after, step)
            for (before, after), step in zip(pairwise(widths), steps, strict=True)
        )
        self.masks = nn.ModuleList(
            nn.ModuleList(
                _mask(width if i == 0 else 2 * width, width) for i, width in enumerate(widths)
            )
            for _ in range(task_count)
        )

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return the encoder's features through each task's masks."""
        features = encoder(images)
        if self.training:
            features = for_heads(features)
        by_task = tuple(self._look(masks, features) for masks in self.masks)
        return SharedFeatures(by_task, tuple((f,) for f in features))

    def _look(self, masks: nn.Module, features: list[Tensor]) -> list[Tensor]:
        """Return the masked features of one task."""
        assert isinstance(masks, nn.ModuleList)  # noqa: S101
        seen = features[: self.first]
        finer: Tensor | None = None
        for number, (mask, feature) in enumerate(zip(masks, features[self.first :], strict=True)):
            known = feature
            if finer is not None:
                known = torch.cat([feature, self.descents[number - 1](finer)], dim=1)
            finer = mask(known).sigmoid() * feature
            seen.append(finer)
        return seen


def _mask(in_channels: int, channels: int) -> nn.Sequential:
    """Return two 1x1 convolutions whose sigmoid is an open mask at first."""
    narrow = max(8, channels // NARROWER)
    last = nn.Conv2d(narrow, channels, 1)
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.constant_(last.bias, OPEN)
    return nn.Sequential(
        nn.Conv2d(in_channels, narrow, 1, bias=False),
        nn.GroupNorm(1, narrow),
        nn.ReLU(inplace=True),
        last,
    )


def _descend(before: int, after: int, step: int) -> nn.Sequential:
    """Return a separable 3x3 convolution from one stage's channels and size to the next one's."""
    return nn.Sequential(
        nn.Conv2d(before, before, 3, step, 1, groups=before, bias=False),
        nn.Conv2d(before, after, 1, bias=False),
        nn.GroupNorm(1, after),
        nn.ReLU(inplace=True),
    )


@dataclass(frozen=True, kw_only=True)
class MtanOptions(SharingOptions):
    """`sharing.name = "mtan"`.

    Attributes:
        lr: Learning rate of the masks, far above the encoder's.
    """

    compiles: ClassVar[bool] = True

    name: Literal["mtan"] = "mtan"
    lr: float = 1e-2

    def __post_init__(self) -> None:
        require(self.lr >= 0, "lr", ">= 0", self.lr)

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return Mtan(encoder, task_count)
