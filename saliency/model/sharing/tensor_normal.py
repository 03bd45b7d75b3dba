"""The tensor-normal distribution: a Gaussian whose covariance is a Kronecker product.

A tensor W of shape (D_1, ..., D_K) has `vec(W) ~ N(0, S_1 (x) ... (x) S_K)`, vec in row-major
order, S_k (D_k, D_k) the covariance along side k. The product is never formed: with Cholesky
factors `S_k = L_k L_k^T`, whitening by `L_k^-1` along each side in turn is the same thing. Leading
dimensions of W beyond the sides are independent samples.

Source:
    Dutilleul, "The MLE algorithm for the matrix normal distribution" (1999), for two sides;
    Ohlson, Ahmad, von Rosen, "The multilinear normal distribution" (2013), for more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def penalty(w: Tensor, covariances: Sequence[Tensor]) -> Tensor:
    """Return the negative log-density without the terms that do not depend on W.

    `penalty = 1/2 vec(W)^T (S_1 (x) ... (x) S_K)^-1 vec(W)`

    Args:
        w: (..., D_1, ..., D_K); the samples' penalties are summed.
        covariances: K positive definite matrices (D_k, D_k).

    Returns:
        Scalar >= 0, by construction half a sum of squares.
    """
    for side, covariance in enumerate(covariances):
        w = _whitened(w, covariance, side - len(covariances))
    return w.square().sum() / 2


@torch.no_grad()
def flip_flop(w: Tensor, covariances: Sequence[Tensor], epsilon: float) -> list[Tensor]:
    """Return the covariances after one sweep of closed-form maximum-likelihood updates.

    One side after the other, given the present others: `S_k` is the mean outer product of W's
    fibres along side k, W being whitened along all others. Only the product's scale is determined,
    so each S_k is divided by its mean diagonal; then it is shrunk to the identity, `S_k <- (1 -
    epsilon) S_k + epsilon I`, which leaves that mean at 1 and bounds the eigenvalues to [epsilon,
    D_k], whatever W is. If W is 0, all S_k become the identity.

    With epsilon 0 no sweep lowers the likelihood, the common scale at its best.

    Args:
        w: (..., D_1, ..., D_K), finite.
        covariances: K positive definite matrices (D_k, D_k) to start from.
        epsilon: Share of the identity, 0..1; above 0 if W has fewer fibres along a side than
            the side is long.
    """
    # The scale does not matter, and squares of 1e20 would overflow.
    w = w / w.abs().max().clamp(min=torch.finfo(w.dtype).tiny)
    found = list(covariances)
    sides = range(len(found))
    for side in sides:
        whitened = w
        for other in sides:
            if other != side:
                whitened = _whitened(whitened, found[other], other - len(found))
        fibres = whitened.movedim(side - len(found), 0).flatten(1)
        found[side] = _shrunk(fibres @ fibres.T, epsilon)
    return found


def to_correlations(covariance: Tensor) -> Tensor:
    """Return a covariance matrix scaled to a diagonal of 1."""
    deviations = covariance.diagonal().sqrt()
    return covariance / deviations.outer(deviations)


def _whitened(w: Tensor, covariance: Tensor, side: int) -> Tensor:
    """Return `w` multiplied by L^-1 along a side, `covariance` being L L^T."""
    factor = torch.linalg.cholesky(covariance)
    moved = w.movedim(side, 0)
    solved: Tensor = torch.linalg.solve_triangular(factor, moved.flatten(1), upper=False)
    return solved.view(moved.shape).movedim(0, side)


def _shrunk(outer: Tensor, epsilon: float) -> Tensor:
    """Return a sum of outer products at a mean diagonal of 1, shrunk to the identity."""
    identity = torch.eye(len(outer), dtype=outer.dtype, device=outer.device)
    scale = outer.diagonal().mean()
    unit = torch.where(scale > 0, outer / scale, identity)
    return (1 - epsilon) * unit + epsilon * identity
