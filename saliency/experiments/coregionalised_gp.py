"""A Gaussian process with several outputs that are correlated, exact and in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize, minimize_scalar
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

LENGTH_SCALES = (0.1, 30.0)
"""Range of the search, in units in which two rows of features are about sqrt(2) apart."""

NOISES = (1e-4, 10.0)
"""Range of the search for the variance of the noise."""

LARGEST = 30.0
"""Bound on the entries of B's triangular root, far above those of targets of spread 1."""


@dataclass(frozen=True)
class CoregionalisedGP:
    """Intrinsic coregionalisation: `y_t(x) = f_t(x) + noise`, all outputs known at all rows.

    `cov(f_t(x), f_u(x')) = B_tu exp(-|x - x'|^2 / (2 l^2 F))`, noise of variance s^2 for all.

    With `K = U diag(a) U^T` over N rows and `B = V diag(b) V^T` over T outputs, the covariance
    `K (x) B + s^2 I` of all N T values is diagonal in the basis `U (x) V`, with a_i b_j + s^2 on
    the diagonal: one decomposition of N x N and one of T x T suffice.

    Attributes:
        x: (N, F) training rows.
        length_scale: l.
        outputs: (T, T) B, covariance of the outputs.
        noise: s^2.
        vectors: (N, N) U.
        values: (N,) a.
        weights: (N, T) inverse covariance times targets.

    Source:
        Bonilla, Chai, Williams, "Multi-task Gaussian process prediction" (2008), with the
        decomposition of Rakitsch et al., "It is all in the noise" (2013).
    """

    x: Array
    length_scale: float
    outputs: Array
    noise: float
    vectors: Array
    values: Array
    weights: Array

    @classmethod
    def fit(cls, x: Array, y: Array, *, correlated: bool = True) -> CoregionalisedGP:
        """Choose all parameters by marginal likelihood.

        Args:
            x: (N, F) standardised features.
            y: (N, T) targets, of mean 0 and a spread near 1.
            correlated: Whether B is full; else it is diagonal: independent outputs with one kernel.
        """

        def best(log_scale: float) -> tuple[float, Array]:
            values, vectors = eigh(kernel(x, x, float(np.exp(log_scale))))
            rotated = vectors.T @ y
            start = _start(y, correlated)
            bounds = [(-LARGEST, LARGEST)] * (len(start) - 1)
            found = minimize(  # type: ignore[call-overload]  # missing from the stubs
                lambda p: _negative_log_likelihood(values, rotated, *_unpack(p, correlated)),
                start,
                method="L-BFGS-B",
                bounds=[*bounds, (math.log(NOISES[0]), math.log(NOISES[1]))],
            )
            return float(found.fun), np.asarray(found.x)

        found = minimize_scalar(
            lambda log_scale: best(log_scale)[0],
            bounds=(math.log(LENGTH_SCALES[0]), math.log(LENGTH_SCALES[1])),
            method="bounded",
            options={"xatol": 0.02},
        )
        return cls.given(x, y, float(np.exp(found.x)), *_unpack(best(found.x)[1], correlated))

    @classmethod
    def given(
        cls, x: Array, y: Array, length_scale: float, outputs: Array, noise: float
    ) -> CoregionalisedGP:
        """Return the process that has seen (N, T) targets `y` at (N, F) rows `x`."""
        values, vectors = eigh(kernel(x, x, length_scale))
        scales, directions = eigh(outputs)
        diagonal = np.outer(values.clip(min=0), scales) + noise
        weights = vectors @ ((vectors.T @ y @ directions) / diagonal) @ directions.T
        return cls(x, length_scale, outputs, noise, vectors, values.clip(min=0), weights)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of observations at new rows, noise included.

        Args:
            x: (M, F) features, standardised like the training rows.

        Returns:
            Two arrays (M, T).
        """
        across = kernel(x, self.x, self.length_scale)
        scales, directions = eigh(self.outputs)
        diagonal = np.outer(self.values, scales) + self.noise
        known = (across @ self.vectors) ** 2 @ (1 / diagonal) @ ((self.outputs @ directions) ** 2).T
        variance = np.diag(self.outputs) - known + self.noise
        mean = across @ self.weights @ self.outputs
        return mean, np.sqrt(variance.clip(min=0))


def kernel(x: Array, other: Array, length_scale: float) -> Array:
    """Return exp(-d^2 / (2 l^2 F)) between (N, F) and (M, F) rows, (N, M)."""
    squared = cdist(x, other, "sqeuclidean") / x.shape[1]
    return np.asarray(np.exp(-squared / (2 * length_scale**2)))


def _negative_log_likelihood(values: Array, rotated: Array, outputs: Array, noise: float) -> float:
    """Return it for targets `rotated` (N, T) into the basis of the kernel's N eigenvectors."""
    scales, directions = eigh(outputs)
    diagonal = np.outer(values.clip(min=0), scales.clip(min=0)) + noise
    squares = (rotated @ directions) ** 2
    return float((squares / diagonal + np.log(2 * np.pi * diagonal)).sum() / 2)


def _start(y: Array, correlated: bool) -> Array:
    """Return the start of the search: half of the targets' covariance, the other half noise."""
    half = np.cov(y.T).reshape(y.shape[1], -1) / 2
    factor = np.linalg.cholesky(half + 1e-3 * np.eye(len(half)))
    shape = factor[np.tril_indices(len(half))] if correlated else np.sqrt(np.diag(half))
    return np.append(shape, np.log(0.5))


def _unpack(parameters: Array, correlated: bool) -> tuple[Array, float]:
    """Return B (a triangular matrix times its transpose) and the noise from a flat vector."""
    *shape, log_noise = parameters
    count = int(np.sqrt(2 * len(shape))) if correlated else len(shape)
    factor = np.zeros((count, count))
    factor[np.tril_indices(count) if correlated else np.diag_indices(count)] = shape
    return factor @ factor.T, math.exp(log_noise)
