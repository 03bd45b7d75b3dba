"""Densities and photos -> pictures to look at, and pictures -> bytes."""

from functools import cache
from typing import Any, Literal, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.sizes import fit_within

OVERLAY_SIDE_PX = 1600
"""Longer side of an overlay: sharp on a screen, and cheap for a 12-megapixel photo."""


@overload
def to_saliency_map(
    density: NDArray[np.floating], *, bits: Literal[8] = 8
) -> NDArray[np.uint8]: ...
@overload
def to_saliency_map(density: NDArray[np.floating], *, bits: Literal[16]) -> NDArray[np.uint16]: ...
def to_saliency_map(
    density: NDArray[np.floating], *, bits: Literal[8, 16] = 8
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Scale a density so that its peak is white.

    Args:
        density: (H, W), >= 0.
        bits: 8 to look at, 16 to compute with: in 8 the faint half of most densities is lost.

    Returns:
        (H, W) uint8 or uint16; proportional to `density`, all zeros if it is.
    """
    if bits == 8:
        return (_to_unit_peak(density) * 255 + 0.5).astype(np.uint8)
    return (_to_unit_peak(density) * 65535 + 0.5).astype(np.uint16)


def to_heatmap(density: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour a density, black over violet and orange to pale yellow.

    The colours are matplotlib's inferno: perceptually uniform, so equal steps look equal, and
    ever lighter, so they survive a grey print and colour-blind eyes. Rainbows (jet, turbo) draw
    borders where the density has none.

    Args:
        density: (H, W), >= 0.

    Returns:
        (H, W, 3) uint8 RGB; the peak has the lightest colour.
    """
    return _to_inferno(_to_unit_peak(density))


def to_overlay(
    image: NDArray[np.uint8],
    density: NDArray[np.floating],
    *,
    max_side_px: int | None = OVERLAY_SIDE_PX,
) -> NDArray[np.uint8]:
    """Let a photo glow where people look; elsewhere it stays visible, dim and nearly grey.

    Args:
        image: (H, W, 3) uint8 RGB.
        density: (h, w), >= 0, of the same photo at any size.
        max_side_px: Longer side of the result; a larger photo is reduced. None keeps its size.

    Returns:
        (H, W, 3) uint8 RGB, or reduced with the photo's proportions.
    """
    small = _reduce(image, max_side_px)
    size = small.shape[1], small.shape[0]
    attention = _to_unit_peak(
        cv2.resize(density.astype(np.float32, copy=False), size, interpolation=cv2.INTER_AREA)
    )
    # Below 1 the power lifts second and third places of interest, which a peak would hide.
    glow = _to_levels(cv2.pow(attention, 0.75))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    # Of the glow alone there are 256 levels, so what depends on it is looked up.
    of_photo, of_grey, added = _tabulate_glow()
    channels = []
    for i, plane in enumerate(cv2.split(small)):
        lit = cv2.multiply(cv2.LUT(glow, of_photo[i]), plane, dtype=cv2.CV_32F)
        cv2.add(lit, cv2.multiply(cv2.LUT(glow, of_grey[i]), grey, dtype=cv2.CV_32F), dst=lit)
        cv2.add(lit, cv2.LUT(glow, added[i]), dst=lit)
        channels.append(cv2.convertScaleAbs(lit))
    return cv2.merge(channels).astype(np.uint8, copy=False)


@cache
def _tabulate_glow() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return a, b, c of `a * photo + b * grey + c`, each (3, 256): channels, levels of glow."""
    glow = np.linspace(0, 1, 256, dtype=np.float32)
    # Grey where nobody looks, because a warm glow is lost on warm colours.
    photo, grey = 0.2 + 0.7 * glow, 0.45 * (1 - glow)
    # Light adds to the photo as two projectors do (screen blending), so its detail stays.
    light = 0.7 / 255 * _to_inferno(glow[:, np.newaxis])[:, 0].T.astype(np.float32)
    return (1 - light) * photo, (1 - light) * grey, 255 * light


def encode_png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Encode as PNG without loss.

    Args:
        image: (H, W) uint8 or uint16 grey, or (H, W, 3) uint8 RGB.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    _, data = cv2.imencode(".png", pixels)
    return data.tobytes()


def _to_unit_peak(density: NDArray[Any]) -> NDArray[np.float32]:
    peak = float(density.max())
    return (density / (peak if peak > 0 else 1)).astype(np.float32)


def _to_levels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return `values` in 0..1 as 0..255."""
    return cv2.convertScaleAbs(values, alpha=255).astype(np.uint8, copy=False)


def _to_inferno(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Colour `values` (H, W) in 0..1 as (H, W, 3) uint8 RGB."""
    bgr = cv2.applyColorMap(_to_levels(values), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _reduce(image: NDArray[np.uint8], max_side_px: int | None) -> NDArray[np.uint8]:
    size = image.shape[0], image.shape[1]
    height, width = fit_within(size, max_side_px)
    if (height, width) == size:
        return image
    reduced = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return reduced.astype(np.uint8, copy=False)
