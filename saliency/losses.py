"""Task losses, one value per image, each >= 0 by construction.

Non-negativity is what keeps learned uncertainty weighting bounded: a loss that can fall below
zero drives its log-variance to minus infinity.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency.types import LOWEST_LOG_VARIANCE, SCORE_BINS

CC_EPS = 1e-8
"""Added to the product of the standard deviations, so that a flat map has CC 0."""


def saliency_loss(log_density: Tensor, density: Tensor) -> Tensor:
    """Return KL(target || prediction) + (1 - CC) of each image.

    KL asks for mass wherever people looked, CC for the right shape; together they serve the
    field's metrics better than either (UNISAL and others train on such sums).

    Args:
        log_density: (B, h, w) predicted log-density, exp sums to 1 over an image.
        density: (B, h, w) target, >= 0, sums to 1 over an image.

    Returns:
        (B,) values in [0, inf).
    """
    prediction = log_density.flatten(1)
    target = density.flatten(1)
    kl: Tensor = (torch.xlogy(target, target) - target * prediction).sum(dim=1)
    p = prediction.exp()
    p = p - p.mean(dim=1, keepdim=True)
    q = target - target.mean(dim=1, keepdim=True)
    # Norms of densities are tiny (about 1/pixels), so scale before multiplying them.
    p = p * p.shape[1]
    q = q * q.shape[1]
    cc: Tensor = (p * q).sum(dim=1) / (p.norm(dim=1) * q.norm(dim=1) + CC_EPS)
    # Rounding can leave KL or 1 - CC slightly below 0 at a perfect prediction.
    return kl.clamp(min=0) + (1 - cc).clamp(min=0)


def squared_emd_loss(score_logits: Tensor, score_distribution: Tensor) -> Tensor:
    """Return the squared earth mover's distance of each image's score distribution.

    `mean_k (CDF_p(k) - CDF_q(k))^2`: the cumulative sums make a vote one bin away cheaper than
    a vote five bins away.

    Args:
        score_logits: (B, K) predicted logits.
        score_distribution: (B, K) target, >= 0, sums to 1.

    Returns:
        (B,) values in [0, 1].

    Source:
        Hou, Yu, Samaras, "Squared earth mover's distance-based loss for training deep neural
        networks" (2016); Talebi and Milanfar, "NIMA" (2018), equation 1 with r = 2, no root.
    """
    difference = score_logits.float().softmax(dim=1).cumsum(dim=1) - score_distribution.cumsum(
        dim=1
    )
    return difference.square().mean(dim=1)


def vote_divergence(score_logits: Tensor, score_distribution: Tensor) -> Tensor:
    """Return KL(votes || prediction) of each image's score distribution, in nats.

    It is the cross-entropy of a vote minus the votes' entropy: the part of the raters' negative
    log-likelihood that can be learned. Unlike the squared earth mover's distance it ignores the
    order of the bins.

    Args:
        score_logits: (B, K) predicted logits.
        score_distribution: (B, K) target, >= 0, sums to 1.

    Returns:
        (B,) values in [0, inf).
    """
    target = score_distribution
    kl = (torch.xlogy(target, target) - target * score_logits.float().log_softmax(dim=1)).sum(dim=1)
    return kl.clamp(min=0)  # rounding can leave it slightly below 0


def attenuated_loss(losses: Tensor, log_variance: Tensor) -> Tensor:
    """Return each image's loss, which counts less if the network states a larger error.

    `(exp(-s) L + s - s_min) / 2`: the negative log-likelihood of a Gaussian error of variance
    `exp(s)`, shifted so that it cannot fall below 0; smallest at s = log L.

    Args:
        losses: (B,) squared errors.
        log_variance: (B,) s, at least `s_min`.

    Returns:
        (B,) values in [0, inf).

    Source:
        Kendall, Gal, "What uncertainties do we need in Bayesian deep learning for computer
        vision?" (2017), equation 8.
    """
    return (torch.exp(-log_variance) * losses + log_variance - LOWEST_LOG_VARIANCE) / 2


def order_loss(scores: Tensor, photo: Tensor, distortion: Tensor, margin: Tensor) -> Tensor:
    """Return how far each spoilt copy misses its margins to less spoilt copies and its photo.

    A copy j is compared with its photo and with less spoilt copies i of the same kind. The loss is
    the mean over i of `max(0, (m_j - m_i) - (s_i - s_j))^2`. A copy that people can hardly tell
    from its photo, m_j = 0, should score the same: `(s_i - s_j)^2`. Different kinds are not
    compared. The unit is the scale's length, so that the loss counts like a squared earth mover's
    distance of the same size.

    Args:
        scores: (B,) mean scores, in points.
        photo: (B,) int64, which photo a row shows.
        distortion: (B,) int64, kind of the distortion, -1 for photos.
        margin: (B,) points by which a row should score lower than its photo.

    Returns:
        (B,) values in [0, inf); 0 for photos.

    Source:
        Liu, van de Weijer, Bagdanov, "RankIQA: learning from rankings for no-reference image
        quality assessment" (2017), equation 2, squared and with margins that grow.
    """
    is_photo = distortion < 0
    same_photo = photo[:, None] == photo[None]
    same_kind = distortion[:, None] == distortion[None]
    asked = margin[None] - margin[:, None]  # (i, j): how much better i should be than j
    is_less_spoilt = torch.where(is_photo[:, None], ~is_photo[None], same_kind & (asked > 0))
    compared = (same_photo & is_less_spoilt).to(scores.dtype)  # (B, B)
    lead = scores[:, None] - scores[None]
    missing = torch.where(asked > 0, F.relu(asked - lead), lead) / (SCORE_BINS - 1)
    return (compared * missing.square()).sum(dim=0) / compared.sum(dim=0).clamp(min=1)
