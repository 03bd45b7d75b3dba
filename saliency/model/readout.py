"""Base of linear heads on pooled features: standardised features and a start at ridge."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def pool_features(features: Sequence[Tensor]) -> Tensor:
    """Return the mean and standard deviation over space of each channel of each stage.

    Args:
        features: One (B, C_i, h_i, w_i) for each stage.

    Returns:
        (B, 2 * sum C_i): means (what is in the photo) and deviations (how unevenly).
    """
    moments = []
    for feature in features:
        mean = feature.mean(dim=(2, 3))
        deviation = feature - mean[:, :, None, None]
        variance = (deviation * deviation).mean(dim=(2, 3))  # an exported power would take longer
        moments += [mean, (variance + 1e-6).sqrt()]
    return torch.cat(moments, dim=1)


class PooledReadOut(nn.Module):
    """A head that reads pooled features, standardised as over the labelled training images."""

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, in_channels: Sequence[int]) -> None:
        super().__init__()
        self.in_channels = tuple(in_channels)
        self.pooled_length = 2 * sum(in_channels)
        self.register_buffer("feature_mean", torch.zeros(self.pooled_length))
        self.register_buffer("feature_std", torch.ones(self.pooled_length))

    @torch.no_grad()
    def start_standardizing(self, pooled: Tensor) -> Tensor:
        """Store mean and spread of training images' features; return the standardised features.

        Args:
            pooled: (N, 2 * sum C_i) features from `pool_features`.

        Returns:
            (N, 2 * sum C_i) float64.
        """
        self.feature_mean.copy_(pooled.mean(dim=0))
        self.feature_std.copy_(pooled.std(dim=0, correction=int(len(pooled) > 1)).clamp(min=1e-3))
        return ((pooled - self.feature_mean) / self.feature_std).double()

    def standardized(self, features: Sequence[Tensor]) -> Tensor:
        """Return (B, 2 * sum C_i) pooled features, standardised as over the labelled images."""
        return (pool_features(features) - self.feature_mean) / self.feature_std

    def by_channel(self, weight: Tensor) -> list[Tensor]:
        """Divide a read-out's weight into the parts that read each encoder stage.

        Args:
            weight: (outputs, 2 * sum C_i) weight of the read-out.

        Returns:
            One (2 * outputs, C_i) for each stage: rows for the means and rows for the deviations.
        """
        widths = [width for width in self.in_channels for _ in ("means", "deviations")]
        pieces = torch.split(weight, widths, dim=1)
        return [torch.cat(pair) for pair in zip(pieces[::2], pieces[1::2], strict=True)]


def mean_left_out_error(x: Tensor, targets: Tensor, ridge: float) -> float:
    """Return the mean squared error of ridge regression on images that it was not fitted on.

    In closed form: leaving an image out divides its residual by 1 minus its leverage.

    Args:
        x: (N, features) float64, standardised.
        targets: (N,) float64, of mean 0.
        ridge: Penalty on the squared weights.

    Source:
        Allen, "The relationship between variable selection and data augmentation and a method
        for prediction" (1974): PRESS.
    """
    kernel = x @ x.T + ridge * torch.eye(len(x), dtype=x.dtype, device=x.device)
    inverse = torch.linalg.inv(kernel)
    left_out = (inverse @ targets) / inverse.diagonal()
    return float(left_out.square().mean())


def solve_ridge(x: Tensor, targets: Tensor, ridge: float) -> Tensor:
    """Return the weights of ridge regression without an intercept.

    Args:
        x: (N, features) float64, standardised.
        targets: (N, outputs) or (N,) float64, of mean 0.
        ridge: Penalty on the squared weights.

    Returns:
        (features, outputs) or (features,).
    """
    # The dual form: N x N is smaller than features x features.
    kernel = x @ x.T + ridge * torch.eye(len(x), dtype=x.dtype, device=x.device)
    weights: Tensor = x.T @ torch.linalg.solve(kernel, targets)
    return weights
