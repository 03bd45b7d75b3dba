"""Two versions of a picture -> one picture of where attention went."""

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.rendering import to_overlay

PANEL_HEIGHT_PX = 720
GAP_PX = 12
GAINED, LOST = (255, 150, 30), (60, 150, 255)
"""Orange and blue, which colour-blind eyes tell apart."""


def to_change_picture(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    before_density: NDArray[np.floating],
    after_density: NDArray[np.floating],
) -> NDArray[np.uint8]:
    """Draw both overlays and, on the second version, what gained (orange) and lost (blue).

    Args:
        before: (H, W, 3) uint8 RGB, the first version.
        after: (H', W', 3) uint8 RGB, the second.
        before_density: (H, W), >= 0, sums to 1.
        after_density: (H', W'), >= 0, sums to 1.

    Returns:
        (at most 720, ..., 3) uint8 RGB: three panels of one height, side by side, none enlarged.
    """
    height = min(PANEL_HEIGHT_PX, before.shape[0], after.shape[0])
    panels = [
        _resize(to_overlay(before, before_density), height),
        _resize(to_overlay(after, after_density), height),
        to_change_overlay(_resize(after, height), before_density, after_density),
    ]
    gap = np.full((height, GAP_PX, 3), 255, np.uint8)
    return np.hstack([panels[0], gap, panels[1], gap, panels[2]])


def to_change_overlay(
    image: NDArray[np.uint8],
    before_density: NDArray[np.floating],
    after_density: NDArray[np.floating],
) -> NDArray[np.uint8]:
    """Colour a grey picture orange where attention grew and blue where it fell.

    The strongest colour stands for the greater of the two peaks, so small changes stay faint.

    Args:
        image: (H, W, 3) uint8 RGB.
        before_density: (h, w), >= 0, sums to 1.
        after_density: (h', w'), >= 0, sums to 1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    size = image.shape[1], image.shape[0]
    first, second = (_to_per_area(d, size) for d in (before_density, after_density))
    change = (second - first) / max(float(first.max()), float(second.max()))
    strength = np.sqrt(np.abs(change))[:, :, np.newaxis]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, np.newaxis] * np.float32(0.6)
    gained = change[:, :, np.newaxis] > 0
    colour = np.where(gained, np.array(GAINED, np.float32), np.array(LOST, np.float32))
    tinted: NDArray[np.float32] = grey + strength * (colour - grey) * np.float32(0.85)
    return (tinted + 0.5).astype(np.uint8)


def _to_per_area(density: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize to (width, height) `size`; 1 is an even density, whatever the sizes."""
    even = density.astype(np.float32) * density.size
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _resize(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
