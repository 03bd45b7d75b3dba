"""The stated error of a head for each photo."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.types import LOWEST_LOG_VARIANCE, TOP_LOG_VARIANCE

MIDDLE = (TOP_LOG_VARIANCE + LOWEST_LOG_VARIANCE) / 2
HALF = (TOP_LOG_VARIANCE - LOWEST_LOG_VARIANCE) / 2


class StatedError(nn.Module):
    """Map standardised features to the logarithm of a photo's expected squared error; bounded.

    The bound is a softsign: its slope falls as the inverse square, so that gradients lead back from
    any distance, where a sigmoid's would be 0 in float32 and a clamp's is 0 everywhere outside.
    Features are read without a gradient: stated errors change no score, and attributes only by
    the weight of each photo's own error.
    It starts at zero weights without drawing random numbers, so that the rest of a network starts
    as it does without it.

    Source:
        Kendall, Gal, "What uncertainties do we need in Bayesian deep learning for computer
        vision?" (2017), section 3: heteroscedastic aleatoric uncertainty.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, features))
        self.bias = nn.Parameter(torch.zeros(1))

    @torch.no_grad()
    def start(self, mean_squared_error: float) -> None:
        """State `mean_squared_error` for every photo: the best constant for errors of that mean."""
        log_variance = math.log(max(mean_squared_error, 1e-12))
        reach = min(max((log_variance - MIDDLE) / HALF, -0.9), 0.9)
        self.weight.zero_()
        self.bias.fill_(HALF * reach / (1 - abs(reach)))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B,) float32 log-variances within their bounds of (B, F) `features`."""
        z = F.linear(features.detach(), self.weight, self.bias)[:, 0].float()
        return MIDDLE + HALF * (z / (HALF + z.abs()))
