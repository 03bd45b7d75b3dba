"""Constraint-based sharing: the heads should use the same few features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from saliency.errors import require
from saliency.model.encoder import Encoder
from saliency.model.sharing.base import Readers, Sharing, SharingOptions
from saliency.model.sharing.hard import HardSharing

TINY = 1e-12
"""Under the root, which has no gradient at 0."""


class JointFeature(HardSharing):
    """Hard sharing with a penalty on how many of the encoder's channels the heads use in all.

    `penalty = sum_c ||W[:, c]||_2`

    the l2,1 norm of all heads' weights, W[:, c] being the weights that read channel c of a
    stage: those of the decoder's projection, and those of the read-outs of scores and attributes
    for its mean and spread.
    Guidance between the tasks is not counted. A channel costs as much for several tasks as for
    one, so tasks are led to the same ones, and channels that serve none fade.

    The tasks share the same as in hard sharing. Cost: one encoder; that of the penalty is
    negligible.

    Source:
        Argyriou, Evgeniou, Pontil, "Convex multi-task feature learning" (2008), without the
        learned rotation of the features, which the encoder provides; Obozinski, Taskar, Jordan,
        "Joint covariate selection and joint subspace selection for multiple classification
        problems" (2010).
    """

    def penalty(self, encoder: Encoder, readers: Readers) -> Tensor:
        """Return the summed norms of the weights that read each channel."""
        return torch.stack([l21(torch.cat(list(weights))) for weights in readers]).sum()


def l21(weights: Tensor) -> Tensor:
    """Return the sum of the Euclidean lengths of the columns of `weights` (rows, columns)."""
    return (weights.square().sum(dim=0) + TINY).sqrt().sum()


@dataclass(frozen=True, kw_only=True)
class JointFeatureOptions(SharingOptions):
    """`sharing.name = "joint_feature"`.

    Attributes:
        strength: Factor of the penalty.
    """

    compiles: ClassVar[bool] = True

    name: Literal["joint_feature"] = "joint_feature"
    strength: float = 1e-4

    def __post_init__(self) -> None:
        require(self.strength >= 0, "strength", ">= 0", self.strength)

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return JointFeature(task_count)
