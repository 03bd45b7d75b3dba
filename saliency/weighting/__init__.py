"""Strategies that combine the losses of several tasks into one scalar: one file for each."""

from saliency.weighting.base import (
    AddUp,
    Shared,
    TaskWeighting,
    WeightingOptions,
    alone,
    gradient_products,
)
from saliency.weighting.dtp import DtpOptions, DtpWeighting
from saliency.weighting.dwa import DwaOptions, DwaWeighting
from saliency.weighting.equal import EqualOptions, EqualWeighting
from saliency.weighting.fixed import FixedOptions, FixedWeighting
from saliency.weighting.gradient import GradientOptions, GradientWeighting
from saliency.weighting.gradnorm import GradNormOptions, GradNormWeighting
from saliency.weighting.initial import InitialOptions, InitialWeighting
from saliency.weighting.lbtw import LbtwOptions, LbtwWeighting
from saliency.weighting.mgda import MgdaOptions, MgdaWeighting
from saliency.weighting.prior import PriorOptions, PriorWeighting
from saliency.weighting.realtime import RealtimeOptions, RealtimeWeighting
from saliency.weighting.uncertainty import UncertaintyOptions, UncertaintyWeighting
from saliency.weighting.uwso import SoftOptimalUncertaintyWeighting, UwsoOptions

Strategy = (
    FixedOptions
    | EqualOptions
    | InitialOptions
    | PriorOptions
    | RealtimeOptions
    | GradientOptions
    | UncertaintyOptions
    | GradNormOptions
    | DwaOptions
    | MgdaOptions
    | DtpOptions
    | LbtwOptions
    | UwsoOptions
)
"""The options of all strategies that a recipe can choose. A new strategy needs a file and a line
here."""

__all__ = [
    "AddUp",
    "DtpOptions",
    "DtpWeighting",
    "DwaOptions",
    "DwaWeighting",
    "EqualOptions",
    "EqualWeighting",
    "FixedOptions",
    "FixedWeighting",
    "GradNormOptions",
    "GradNormWeighting",
    "GradientOptions",
    "GradientWeighting",
    "InitialOptions",
    "InitialWeighting",
    "LbtwOptions",
    "LbtwWeighting",
    "MgdaOptions",
    "MgdaWeighting",
    "PriorOptions",
    "PriorWeighting",
    "RealtimeOptions",
    "RealtimeWeighting",
    "Shared",
    "SoftOptimalUncertaintyWeighting",
    "Strategy",
    "TaskWeighting",
    "UncertaintyOptions",
    "UncertaintyWeighting",
    "UwsoOptions",
    "WeightingOptions",
    "alone",
    "gradient_products",
]
