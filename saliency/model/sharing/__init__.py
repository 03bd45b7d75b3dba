"""How the tasks share the encoder: one file a scheme.

All are `Sharing` modules: images in, a list of features for each task out.
"""

from __future__ import annotations

from typing import Literal

from saliency.model.encoder import Encoder
from saliency.model.sharing.adaptive import AdaptiveSharing
from saliency.model.sharing.base import Readers, SharedFeatures, Sharing
from saliency.model.sharing.cross_stitch import CrossStitch
from saliency.model.sharing.hard import HardSharing
from saliency.model.sharing.joint_feature import JointFeature
from saliency.model.sharing.mean_constraint import MeanConstraint
from saliency.model.sharing.mtan import Mtan
from saliency.model.sharing.multilinear import Multilinear
from saliency.model.sharing.sluice import Sluice

SharingName = Literal[
    "hard",
    "cross_stitch",
    "sluice",
    "mtan",
    "multilinear",
    "adaptive",
    "mean_constraint",
    "joint_feature",
]

__all__ = [
    "AdaptiveSharing",
    "CrossStitch",
    "HardSharing",
    "JointFeature",
    "MeanConstraint",
    "Mtan",
    "Multilinear",
    "Readers",
    "SharedFeatures",
    "Sharing",
    "SharingName",
    "Sluice",
    "build_sharing",
]


def build_sharing(
    name: SharingName,
    encoder: Encoder,
    task_count: int,
    *,
    per_channel: bool = False,
    subspaces: int = 2,
    update_every: int = 20,
    tree: tuple[tuple[int, ...], ...] = (),
) -> Sharing:
    """Return the scheme called `name`, as it starts.

    Args:
        name: The scheme.
        encoder: The network's own; further ones start as it is.
        task_count: T.
        per_channel: Of `cross_stitch`: a mixing weight a channel instead of one a stage.
        subspaces: Of `sluice`: parts that a stage's channels are cut into.
        update_every: Of `multilinear`: steps between updates of its covariances.
        tree: Of `adaptive`: for each stage the group of each task; empty for one group.

    Raises:
        ConfigError: The scheme needs the encoder's stages one at a time, and this one's cannot.
    """
    match name:
        case "hard":
            return HardSharing(task_count)
        case "cross_stitch":
            return CrossStitch(encoder, task_count, per_channel=per_channel)
        case "sluice":
            return Sluice(encoder, task_count, subspaces=subspaces)
        case "mtan":
            return Mtan(encoder, task_count)
        case "adaptive":
            return AdaptiveSharing(encoder, task_count, tree)
        case "mean_constraint":
            return MeanConstraint(encoder, task_count)
        case "joint_feature":
            return JointFeature(task_count)
        case "multilinear":
            return Multilinear(encoder, task_count, update_every)
