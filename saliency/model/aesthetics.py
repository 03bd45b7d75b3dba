"""The aesthetic head: from the encoder's features to a distribution of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.model.readout import PooledReadOut, mean_left_out_error, solve_ridge
from saliency.model.stated_error import StatedError
from saliency.types import SCORE_BINS


def pool_where(features: Sequence[Tensor], density: Tensor) -> Tensor:
    """Return the mean of each channel of each stage, weighted by where people look.

    Args:
        features: One (B, C_i, h_i, w_i) for each stage.
        density: (B, h, w), each sums to 1.

    Returns:
        (B, sum C_i).
    """
    means = []
    for feature in features:
        size = (feature.shape[2], feature.shape[3])
        weights = F.adaptive_avg_pool2d(density[:, None], size)
        weights = weights / weights.sum(dim=(2, 3), keepdim=True)
        means.append((weights * feature).sum(dim=(2, 3)))
    return torch.cat(means, dim=1)


COPY_WEIGHT = 0.2
"""Weight of a spoilt copy's row in the closed form; a photo's row has 1. A larger one orders copies
better and photos worse (docs/LOG.md)."""


class SpoiltRows(NamedTuple):
    """Spoilt copies of the images that a read-out is fitted on.

    Attributes:
        pooled: (M, 2 * sum C_i) features of the copies, from `pool_features`.
        photo: (M,) int64, row of the image that each one is a copy of.
        margin: (M,) points by which each one should score lower than its photo.
    """

    pooled: Tensor
    photo: Tensor
    margin: Tensor


class Rating(NamedTuple):
    """Outputs of the head.

    Attributes:
        logits: (B, K) logits of the score distribution.
        embedding: (B, embedding_length) embedding that guides the decoder.
        features: (B, 2 * sum C_i) standardised features that both are read from, with their whole
            gradient.
        log_variance: (B,) logarithm of the mean score's squared error; None if none is stated.
    """

    logits: Tensor
    embedding: Tensor
    features: Tensor
    log_variance: Tensor | None


class AestheticHead(PooledReadOut):
    """Map standardised pooled features to an embedding and to score logits.

    With a few hundred rated images a linear read-out of standardised features is hard to beat, so
    the logits are exactly that. The embedding, which guides the saliency decoder, is the predicted
    score distribution and a second small read-out of the same features.

    Attributes:
        embedding_length: K + `embedding_features`.
        error: Module that states the error of the mean score; None if there is none.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        embedding_features: int,
        dropout: float,
        *,
        attention: bool = False,
        heteroscedastic: bool = False,
    ) -> None:
        super().__init__(in_channels)
        pooled = self.pooled_length
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(pooled, SCORE_BINS)
        self.embedding = nn.Linear(pooled, embedding_features)
        self.embedding_length = SCORE_BINS + embedding_features
        self.attended: nn.Linear | None = None
        if attention:
            self.attended = nn.Linear(sum(in_channels), SCORE_BINS, bias=False)
            nn.init.zeros_(self.attended.weight)
        self.error = StatedError(pooled) if heteroscedastic else None

    @torch.no_grad()
    def fit(
        self,
        pooled: Tensor,
        distributions: Tensor,
        ridge: float,
        spoilt: SpoiltRows | None = None,
    ) -> None:
        """Set standardisation and read-out in closed form, for a start at ridge regression.

        A ridge regression of mean scores on standardised features gives each image's score; the
        logits are those of the mean vote distribution, tilted exponentially until its mean is
        (to first order) that score. Training then refines a fair predictor; a random start
        on a few hundred images easily ends below it.

        Args:
            pooled: (N, 2 * sum C_i) features of training images, from `pool_features`.
            distributions: (N, K) score distributions of these images.
            ridge: Penalty on the squared weights.
            spoilt: Copies of these images. Each is a row of weight `COPY_WEIGHT` whose target is
                its photo's mean score minus the margin.
        """
        x = self.start_standardizing(pooled)
        votes = distributions.double()
        scores = torch.arange(1, SCORE_BINS + 1, dtype=torch.double, device=votes.device)
        mean_votes = votes.mean(dim=0)
        mean_score = mean_votes @ scores
        targets = votes @ scores - mean_score
        rows, wanted = x, targets
        if spoilt is not None:
            copies = ((spoilt.pooled - self.feature_mean) / self.feature_std).double()
            lowered = targets[spoilt.photo] - spoilt.margin.double()
            root = math.sqrt(COPY_WEIGHT)
            rows, wanted = torch.cat([x, root * copies]), torch.cat([targets, root * lowered])
        weights = solve_ridge(rows, wanted, ridge)  # (features,)
        variance = mean_votes @ (scores - mean_score).square()
        tilt = (scores - mean_score) / variance  # (K,) logits per point of score
        self.logits.weight.copy_(tilt[:, None] * weights)
        self.logits.bias.copy_((mean_votes + 1e-4).log())
        if self.error is not None:
            self.error.start(mean_left_out_error(x, targets, ridge))

    @torch.no_grad()
    def mix(self, other: AestheticHead, share: float) -> None:
        """Let the score logits be the mean of this head's and another's of the same features.

        Args:
            other: A head of the same shape, with a standardisation of its own.
            share: Weight of the other's logits, 0..1.
        """
        weight = other.logits.weight * (self.feature_std / other.feature_std)
        shift = other.logits.weight @ ((self.feature_mean - other.feature_mean) / other.feature_std)
        self.logits.weight.lerp_(weight, share)
        self.logits.bias.lerp_(other.logits.bias + shift, share)

    def activation_maps(
        self, features: Sequence[Tensor], *, stop_gradient: bool = False
    ) -> list[Tensor]:
        """Return, for each stage, where in the photo the embedding's read-out comes from.

        Args:
            features: One (B, C_i, h_i, w_i) for each stage.
            stop_gradient: Keep gradients from the features; the read-out still learns.

        Returns:
            One (B, embedding_features, h_i, w_i) for each stage, >= 0, with mean 1 over the photo.
        """
        maps = []
        start = 0
        for feature, width in zip(features, self.in_channels, strict=True):
            means = slice(start, start + width)  # `pool_features` puts the deviations after them
            start += 2 * width
            source = feature.detach() if stop_gradient else feature
            offset, scale = self.feature_mean[means], self.feature_std[means]
            local = (source - offset[:, None, None]) / scale[:, None, None]
            read = F.relu(torch.einsum("ec,bchw->behw", self.embedding.weight[:, means], local))
            maps.append(read / (read.mean(dim=(2, 3), keepdim=True) + 1e-3))
        return maps

    def attended_logits(
        self, features: Sequence[Tensor], density: Tensor, *, feature_gradient: float = 1.0
    ) -> Tensor:
        """Return the change of the score logits due to where people look; 0 before training.

        Args:
            features: One (B, C_i, h_i, w_i) for each stage.
            density: (B, h, w), each sums to 1; gradients do not reach it.
            feature_gradient: Share of the gradient that reaches `features`, 0..1.

        Returns:
            (B, K), read from the difference of the features' mean where people look and their
            mean over the photo.
        """
        assert self.attended is not None, "built without attention"  # noqa: S101
        scales = []
        start = 0
        for width in self.in_channels:
            scales.append(self.feature_std[start : start + width])
            start += 2 * width
        everywhere = torch.cat([feature.mean(dim=(2, 3)) for feature in features], dim=1)
        difference = (pool_where(features, density.detach()) - everywhere) / torch.cat(scales)
        difference = feature_gradient * difference + (1 - feature_gradient) * difference.detach()
        logits: Tensor = self.attended(self.dropout(difference))
        return logits

    def forward(
        self,
        features: Sequence[Tensor],
        *,
        stop_embedding_gradient: bool = False,
        feature_gradient: float = 1.0,
    ) -> Rating:
        """Return score logits, the guiding embedding, the features, and the stated error.

        Args:
            features: One (B, C_i, h_i, w_i) for each stage.
            stop_embedding_gradient: Keep gradients of the embedding's use from reaching the
                features and the logits; its own read-out still learns.
            feature_gradient: Share of the gradient that reaches `features`, 0..1.
        """
        pooled = self.standardized(features)
        x = feature_gradient * pooled + (1 - feature_gradient) * pooled.detach()
        read = self.dropout(x)
        logits = self.logits(read)
        log_variance = None if self.error is None else self.error(read)
        source, scores = (x.detach(), logits.detach()) if stop_embedding_gradient else (x, logits)
        embedding = torch.cat([scores.softmax(dim=1), F.relu(self.embedding(source))], dim=1)
        return Rating(logits, embedding, pooled, log_variance)
