"""Constraint-based sharing: the heads should use the same few features."""

from __future__ import annotations

import torch
from torch import Tensor

from saliency.model.encoder import Encoder
from saliency.model.sharing.base import Readers
from saliency.model.sharing.hard import HardSharing

TINY = 1e-12
"""Under the root, which has no gradient at 0."""


class JointFeature(HardSharing):
    """Hard sharing with a penalty on how many of the encoder's channels the heads use in all.

    `penalty = sum_c ||W[:, c]||_2`

    the l2,1 norm of all heads' weights, W[:, c] being what reads channel c of a stage: the
    decoder's projection, and what the read-outs of scores and attributes give its mean and spread.
    Guidance between the tasks is not counted. A channel costs as much for several tasks as for
    one, so tasks are led to the same ones, and channels that serve none fade.

    Shared is what hard sharing shares. Cost: one encoder; the penalty is nothing beside it.

    Source:
        Argyriou, Evgeniou, Pontil, "Convex multi-task feature learning" (2008), without the
        learned rotation of the features, which the encoder provides; Obozinski, Taskar, Jordan,
        "Joint covariate selection and joint subspace selection for multiple classification
        problems" (2010).
    """

    strength = 1e-4

    def penalty(self, encoder: Encoder, readers: Readers) -> Tensor:
        """Return the summed lengths of what reads each channel."""
        return torch.stack([l21(torch.cat(list(weights))) for weights in readers]).sum()


def l21(weights: Tensor) -> Tensor:
    """Return the sum of the Euclidean lengths of the columns of `weights` (rows, columns)."""
    return (weights.square().sum(dim=0) + TINY).sqrt().sum()
