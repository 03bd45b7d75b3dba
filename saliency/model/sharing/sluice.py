"""Sluice networks: subspaces of each task's features are mixed, and stages are weighed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.errors import ConfigError, require
from saliency.model.encoder import Encoder
from saliency.model.sharing.base import Readers, Sharing, SharingOptions
from saliency.model.sharing.stitched import StitchedEncoders, matrices


class Sluice(StitchedEncoders):
    """Cross-stitch between parts of the channels, with a weight for each stage that a head reads.

    `x_(t,g)' = sum_(u,h) alpha[(t,g), (u,h)] x_(u,h)` behind each stage,
    `read_t = beta[t, stage] x_t'`

    The channels of each task and stage are cut into G subspaces g, so that a task can share one
    part and keep another. alpha is (T G, T G) for each stage, near the identity at first; beta
    starts at 1. With one subspace and beta held at 1 this is `CrossStitch`.

    `penalty = mean over stages, tasks and pairs g < h of cos^2(rows of W_g, rows of W_h)`

    keeps the subspaces apart; W_g are the filters of the stage's last layer that make subspace g.

    Cost: T encoders, in parameters and in FLOPs.

    Source:
        Ruder, Bingel, Augenstein, Søgaard, "Sluice networks: learning what to share between
        loosely related tasks" (2017), later "Latent multi-task architecture learning" (2019).

    Note:
        The paper's beta mixes the outputs of all layers into one; the heads here read several
        stages side by side, so that beta weighs each. Its penalty is `||W_g W_h^T||^2`; filters
        are scaled to length 1 here, for batch normalisation makes their length meaningless.
    """

    def __init__(self, encoder: Encoder, task_count: int, *, subspaces: int = 2) -> None:
        super().__init__(encoder, task_count)
        odd = [channels for channels in encoder.channels if channels % subspaces]
        if odd:
            fitting = [n for n in range(1, 9) if not any(c % n for c in encoder.channels)]
            raise ConfigError(
                f"`sharing.subspaces` should divide the channels of each stage of {encoder.name}, "
                f"{encoder.channels}. Found {subspaces}; {fitting} do."
            )
        self.subspaces = subspaces
        self.alphas = matrices(len(encoder.channels), task_count * subspaces)
        self.betas = nn.Parameter(torch.ones(len(encoder.channels), task_count))

    def mix(self, stage: int, features: Tensor) -> Tensor:
        """Return (T, B, C, h, w) mixtures, subspace by subspace."""
        tasks, batch, channels, *size = features.shape
        parts = features.view(tasks, batch, self.subspaces, -1, *size)
        parts = parts.transpose(1, 2).flatten(0, 1)  # (T G, B, C / G, h, w)
        mixed: Tensor = torch.tensordot(self.alphas[stage].to(parts.dtype), parts, dims=1)
        mixed = mixed.view(tasks, self.subspaces, batch, -1, *size).transpose(1, 2)
        return mixed.reshape(tasks, batch, channels, *size)

    def read(self, stage: int, features: Sequence[Tensor]) -> list[Tensor]:
        """Return each task's mixture times its beta."""
        betas = self.betas[stage]
        return [beta * feature for beta, feature in zip(betas, features, strict=True)]

    def penalty(self, encoder: Encoder, readers: Readers) -> Tensor | None:
        """Return the mean squared cosine between filters of different subspaces, 0..1."""
        filters = [
            weight
            for stages, channels in zip(self.stages(encoder), encoder.channels, strict=True)
            for stage in stages
            if (weight := _last_filters(stage, channels)) is not None
        ]
        if self.subspaces == 1 or not filters:
            return None
        return torch.stack([overlap(weight, self.subspaces) for weight in filters]).mean()

    def describe(self) -> dict[str, object]:
        """Return alpha and beta of each stage."""
        return {
            "alphas": [alpha.detach().tolist() for alpha in self.alphas],
            "betas": self.betas.detach().tolist(),
        }


def overlap(filters: Tensor, subspaces: int) -> Tensor:
    """Return the mean squared cosine between rows of `filters` (C, n) in different subspaces."""
    unit = F.normalize(filters, dim=1).view(subspaces, -1, filters.shape[1])
    cosines = torch.einsum("gcn,hdn->ghcd", unit, unit).square().mean(dim=(2, 3))  # (G, G)
    apart = ~torch.eye(subspaces, dtype=torch.bool, device=filters.device)
    mean: Tensor = cosines[apart].mean()
    return mean


def _last_filters(stage: nn.Module, channels: int) -> Tensor | None:
    """Return the (C, n) filters of a stage's last trained layer with an output per channel."""
    found = [p for p in stage.parameters() if p.ndim > 1 and len(p) == channels and p.requires_grad]
    return found[-1].flatten(1) if found else None


@dataclass(frozen=True, kw_only=True)
class SluiceOptions(SharingOptions):
    """`sharing.name = "sluice"`.

    Attributes:
        lr: Learning rate of alpha and beta, far above the encoder's.
        strength: Factor of the penalty.
        subspaces: Number of parts that each stage's channels are divided into.
    """

    name: Literal["sluice"] = "sluice"
    lr: float = 1e-2
    strength: float = 0.1
    subspaces: int = 2

    def __post_init__(self) -> None:
        require(self.lr >= 0, "lr", ">= 0", self.lr)
        require(self.strength >= 0, "strength", ">= 0", self.strength)
        require(self.subspaces >= 1, "subspaces", ">= 1", self.subspaces)

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return Sluice(encoder, task_count, subspaces=self.subspaces)
