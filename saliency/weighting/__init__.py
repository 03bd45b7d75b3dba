"""Strategies that turn one loss a task into one scalar to minimise."""

from saliency.weighting.base import AddUp, Shared, TaskWeighting, alone, gradient_products
from saliency.weighting.dtp import DtpWeighting
from saliency.weighting.dwa import DwaWeighting
from saliency.weighting.equal import EqualWeighting
from saliency.weighting.fixed import FixedWeighting
from saliency.weighting.gradient import GradientWeighting
from saliency.weighting.gradnorm import GradNormWeighting
from saliency.weighting.initial import InitialWeighting
from saliency.weighting.lbtw import LbtwWeighting
from saliency.weighting.mgda import MgdaWeighting
from saliency.weighting.prior import PriorWeighting
from saliency.weighting.realtime import RealtimeWeighting
from saliency.weighting.uncertainty import UncertaintyWeighting

__all__ = [
    "AddUp",
    "DtpWeighting",
    "DwaWeighting",
    "EqualWeighting",
    "FixedWeighting",
    "GradNormWeighting",
    "GradientWeighting",
    "InitialWeighting",
    "LbtwWeighting",
    "MgdaWeighting",
    "PriorWeighting",
    "RealtimeWeighting",
    "Shared",
    "TaskWeighting",
    "UncertaintyWeighting",
    "alone",
    "gradient_products",
]
