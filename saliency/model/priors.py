"""Priors that differ between data sets but not between photos: centre bias, sharpness, blur."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GRID = (9, 12)
"""Nodes of the centre bias, (rows, columns); it is smooth, so few are enough."""

BLUR_RADIUS = 6
"""Radius of the blur in decoder pixels; its kernel covers 2 * 6 + 1 of them."""


class DatasetPriors(nn.Module):
    """Turn the decoder's logits into a log-density, with the priors of a data set.

    `log softmax(logits * exp(temperature) + center_bias)`, then a Gaussian blur. Each of the three
    is a shared value plus an offset for the data set. Index 0 is neutral: no offset, the setting
    for users' photos. In training a data set's images use the neutral setting half of the time,
    so that the shared values suit photos of unknown origin.

    Source:
        Droste, Jiao, Noble, "Unified image and video saliency modeling" (UNISAL, 2020): domain-
        adaptive priors, fusion and smoothing. Kümmerer et al., "Modeling saliency dataset bias"
        (2025): a few parameters for each data set recover most of the cross-dataset drop.

    Note:
        UNISAL learns each set's values alone and has no neutral setting.
    """

    def __init__(self, dataset_count: int) -> None:
        super().__init__()
        rows = torch.linspace(-1, 1, GRID[0])[:, None]
        columns = torch.linspace(-1, 1, GRID[1])[None]
        # Start from a mild Gaussian; viewers everywhere look at the centre more.
        self.center_bias = nn.Parameter(-1.5 * (rows.square() + columns.square()))
        self.log_temperature = nn.Parameter(torch.zeros(()))
        self.log_blur_px = nn.Parameter(torch.zeros(()))
        self.center_bias_offsets = nn.Parameter(torch.zeros(dataset_count, *GRID))
        self.log_temperature_offsets = nn.Parameter(torch.zeros(dataset_count))
        self.log_blur_offsets = nn.Parameter(torch.zeros(dataset_count))

    def forward(self, logits: Tensor, dataset_index: Tensor | None) -> Tensor:
        """Return the log-density.

        Args:
            logits: (B, h, w) logits of the decoder.
            dataset_index: (B,) int64, 0 = neutral, i = the i-th data set counted from 1; None is
                neutral for all, and the priors are then constants.

        Returns:
            (B, h, w) natural logarithm; exp sums to 1 over an image.
        """
        center_bias = self.center_bias + _pick(self.center_bias_offsets, dataset_index)
        temperature = (
            self.log_temperature + _pick(self.log_temperature_offsets, dataset_index)
        ).exp()
        blur_px = (self.log_blur_px + _pick(self.log_blur_offsets, dataset_index)).exp()
        center_bias = F.interpolate(
            center_bias[:, None], logits.shape[1:], mode="bicubic", align_corners=True
        )[:, 0]  # (B, h, w)
        biased = logits * temperature[:, None, None] + center_bias
        density = biased.flatten(1).softmax(dim=1).view_as(biased)
        density = _blur(density, blur_px)
        return to_log_density(density)


def _pick(offsets: Tensor, dataset_index: Tensor | None) -> Tensor:
    """Return row `dataset_index - 1` of `offsets`, zeros for index 0; one row of zeros for None."""
    neutral = offsets.new_zeros(1, *offsets.shape[1:])
    return neutral if dataset_index is None else torch.cat([neutral, offsets])[dataset_index]


def _blur(density: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur each (h, w) of `density` (B, h, w) with its own Gaussian of `sigma_px`, (B,) or (1,).

    Above half of `BLUR_RADIUS` the kernel is cut off and flattens. It is not clamped there: a
    clamp has no gradient, and a blur beyond it could not return.
    """
    width = 2 * BLUR_RADIUS + 1
    offsets = torch.arange(width, device=density.device) - BLUR_RADIUS
    exponent = -offsets.square() / (2 * sigma_px.clamp(min=0.1)[:, None].square())
    kernel = exponent.softmax(dim=1).expand(len(density), width)
    # Each image is a channel with a kernel of its own.
    padded = F.pad(density[None], [BLUR_RADIUS] * 4, mode="replicate")
    down = F.conv2d(padded, kernel[:, None, :, None], groups=len(density))
    return F.conv2d(down, kernel[:, None, None, :], groups=len(density))[0]


def to_log_density(density: Tensor) -> Tensor:
    """Return log of `density` (B, h, w), scaled so that exp sums to 1 over an image."""
    total = density.sum(dim=(1, 2), keepdim=True)
    # The floor is a 10,000th of the uniform density: no place is impossible to look at.
    floor = 1e-4 / (density.shape[1] * density.shape[2])
    return torch.log((density / total + floor) / (1 + 1e-4))
