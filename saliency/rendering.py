"""Render densities and photos as pictures, and encode pictures."""

from functools import cache
from typing import Any, Literal, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.captions import add_scale, to_text_size
from saliency.sizes import fit_within

OVERLAY_SIDE_PX = 1600
"""Longer side of an overlay: sharp on a screen, and cheap for a 12-megapixel photo."""

LIGHT_LEVEL, LIGHT_SHARE = 225, 0.35
"""A picture is light if so much of it is at least so bright, of 255: 22 of 26 web pages are, and 4
of 240 photos of OSIE, EyeCrowd, Scene and SALICON."""

SCALE_PX = 256
"""Colours of a scale."""

OVERLAY_ENDS = "less", "more attention"
"""What the ends of an overlay's scale mean."""


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
        bits: 8 for viewing, 16 for computing: 8 bits lose the faint half of most densities.

    Returns:
        (H, W) uint8 or uint16; proportional to `density`; all zeros if it is all zeros.
    """
    if bits == 8:
        return (_to_unit_peak(density) * 255 + 0.5).astype(np.uint8)
    return (_to_unit_peak(density) * 65535 + 0.5).astype(np.uint16)


def to_heatmap(density: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour a density, from black through violet and orange to pale yellow.

    The colours are matplotlib's inferno: perceptually uniform, so equal steps look equal, and
    ever lighter, so they work in grey prints and for colour-blind people. Rainbows (jet, turbo)
    draw borders where the density has none.

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
    legend: bool = False,
) -> NDArray[np.uint8]:
    """Let a photo glow where people look; elsewhere it stays visible, dim and nearly grey.

    A light picture (`is_light`) would turn grey as a whole and its glow pale. So it keeps its light
    ground, loses colour where nobody looks and is tinted where people do.

    Args:
        image: (H, W, 3) uint8 RGB.
        density: (h, w), >= 0, of the same photo at any size.
        max_side_px: Longer side of the result; a larger photo is reduced. None keeps its size.
        legend: Whether to say in a line below what the colours mean.

    Returns:
        (H, W, 3) uint8 RGB, or reduced with the photo's proportions; a legend adds to its height.
    """
    small = _reduce(image, max_side_px)
    size = small.shape[1], small.shape[0]
    attention = _to_unit_peak(
        cv2.resize(density.astype(np.float32, copy=False), size, interpolation=cv2.INTER_AREA)
    )
    light = is_light(small)
    overlay = _light_up(small, attention, light=light)
    if not legend:
        return overlay
    scale = to_overlay_scale(SCALE_PX, light=light)
    return add_scale(overlay, scale, OVERLAY_ENDS, to_text_size((small.shape[0], small.shape[1])))


def is_light(image: NDArray[np.uint8]) -> bool:
    """Return whether a picture is mostly white or nearly so, as web pages and slides are.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return bool(np.count_nonzero(grey >= LIGHT_LEVEL) >= LIGHT_SHARE * grey.size)


def to_overlay_scale(width: int, *, light: bool) -> NDArray[np.uint8]:
    """Return the colours of an overlay from no attention to the peak, on white or on grey.

    Args:
        width: Pixels.
        light: Whether the overlay is a light picture's.

    Returns:
        (1, width, 3) uint8 RGB.
    """
    ground = np.full((1, width, 3), 255 if light else 128, np.uint8)
    return _light_up(ground, np.linspace(0, 1, width, dtype=np.float32)[np.newaxis], light=light)


def _light_up(
    image: NDArray[np.uint8], attention: NDArray[np.float32], *, light: bool
) -> NDArray[np.uint8]:
    """Return the overlay of a picture and its attention, 0..1, both (H, W)."""
    # A power below 1 makes weaker places of interest visible beside the peak.
    glow = _to_levels(cv2.pow(attention, 0.75))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    # There are only 256 levels of glow, so values that depend on it are looked up.
    of_photo, of_grey, added = _tabulate_tint() if light else _tabulate_glow()
    channels = []
    for i, plane in enumerate(cv2.split(image)):
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


@cache
def _tabulate_tint() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return a, b, c as `_tabulate_glow` does, for light pictures."""
    glow = np.linspace(0, 1, 256, dtype=np.float32)
    # From orange to red: yellow would be lost on white, and violet would hide black text.
    colour = _to_inferno((0.85 - 0.3 * glow)[:, np.newaxis])[:, 0].T.astype(np.float32)
    opacity, faded = 0.7 * glow, 0.75 * (1 - glow)
    photo = np.tile((1 - opacity) * (1 - faded), (3, 1))
    grey = np.tile((1 - opacity) * faded, (3, 1))
    return photo, grey, opacity * colour


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
