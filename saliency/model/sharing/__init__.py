"""How the tasks share the encoder: one file and one line for each scheme.

All are `Sharing` modules: images in, a list of features for each task out.
"""

from __future__ import annotations

from typing import get_args

from saliency.model.sharing.adaptive import AdaptiveOptions, AdaptiveSharing
from saliency.model.sharing.base import GrowthPlan, Readers, SharedFeatures, Sharing, SharingOptions
from saliency.model.sharing.cross_stitch import CrossStitch, CrossStitchOptions
from saliency.model.sharing.hard import HardOptions, HardSharing
from saliency.model.sharing.joint_feature import JointFeature, JointFeatureOptions
from saliency.model.sharing.mean_constraint import MeanConstraint, MeanConstraintOptions
from saliency.model.sharing.mtan import Mtan, MtanOptions
from saliency.model.sharing.multilinear import Multilinear, MultilinearOptions
from saliency.model.sharing.sluice import Sluice, SluiceOptions

Scheme = (
    HardOptions
    | CrossStitchOptions
    | SluiceOptions
    | MtanOptions
    | MultilinearOptions
    | AdaptiveOptions
    | MeanConstraintOptions
    | JointFeatureOptions
)
"""The options of all schemes. A new scheme is a file and a line here."""

SCHEMES: dict[str, type[SharingOptions]] = {options.name: options for options in get_args(Scheme)}
"""Options by the name of their scheme, for checkpoints."""

__all__ = [
    "SCHEMES",
    "AdaptiveOptions",
    "AdaptiveSharing",
    "CrossStitch",
    "CrossStitchOptions",
    "GrowthPlan",
    "HardOptions",
    "HardSharing",
    "JointFeature",
    "JointFeatureOptions",
    "MeanConstraint",
    "MeanConstraintOptions",
    "Mtan",
    "MtanOptions",
    "Multilinear",
    "MultilinearOptions",
    "Readers",
    "Scheme",
    "SharedFeatures",
    "Sharing",
    "SharingOptions",
    "Sluice",
    "SluiceOptions",
]
