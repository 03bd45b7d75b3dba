"""Densities whose answers are known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Blob = tuple[float, float, float, float]
"""x and y in pixels, sigma in pixels, mass."""


@pytest.fixture(scope="session")
def draw_blobs() -> Callable[..., NDArray[np.float32]]:
    """Return a function that draws Gaussians of known mass, each on its pixels' centres."""

    def draw(size: tuple[int, int], *blobs: Blob) -> NDArray[np.float32]:
        xs, ys = np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5
        total = np.zeros(size)
        for x, y, sigma_px, mass in blobs:
            across = np.exp(-((xs - x) ** 2) / (2 * sigma_px**2))
            down = np.exp(-((ys - y) ** 2) / (2 * sigma_px**2))
            total += mass / (across.sum() * down.sum()) * np.outer(down, across)
        return (total / total.sum()).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def delta() -> Callable[..., NDArray[np.float32]]:
    """Return a function that puts all attention on one pixel."""

    def draw(size: tuple[int, int], row: int, column: int) -> NDArray[np.float32]:
        density = np.zeros(size, np.float32)
        density[row, column] = 1
        return density

    return draw
