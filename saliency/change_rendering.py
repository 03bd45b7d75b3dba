"""Draw how attention changed between two versions of a picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.captions import add_scale, add_title, draw_boxes, to_text_size
from saliency.insights import Region
from saliency.rendering import (
    OVERLAY_ENDS,
    SCALE_PX,
    is_light,
    to_overlay,
    to_overlay_scale,
)

PANEL_HEIGHT_PX = 720
GAP_PX = 12
GAINED, LOST = (255, 150, 30), (60, 150, 255)
"""Orange and blue, which colour-blind people can distinguish."""


def to_change_picture(
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    densities: tuple[NDArray[np.floating], NDArray[np.floating]],
    titles: tuple[str, str, str],
    regions: tuple[Sequence[Region], Sequence[Region]] = ((), ()),
) -> NDArray[np.uint8]:
    """Draw both overlays and, on the second version, where attention grew (orange) or fell (blue).

    Args:
        images: (H, W, 3) uint8 RGB each, the first version and the second.
        densities: (H, W), >= 0, sums to 1, of each.
        titles: What stands above each panel.
        regions: Of the first version and of the second; the change shows the second's.

    Returns:
        (at most 720 and two lines, ..., 3) uint8 RGB: three panels of one height, side by side,
        none enlarged, each with a title and a scale.
    """
    height = min(PANEL_HEIGHT_PX, *(image.shape[0] for image in images))
    text_px = to_text_size((height, height))
    before, after = (_resize(image, height) for image in images)
    pictures = [
        to_overlay(before, densities[0], max_side_px=None),
        to_overlay(after, densities[1], max_side_px=None),
        to_change_overlay(after, *densities),
    ]
    scales = [
        (to_overlay_scale(SCALE_PX, light=is_light(before)), OVERLAY_ENDS),
        (to_overlay_scale(SCALE_PX, light=is_light(after)), OVERLAY_ENDS),
        (to_change_scale(SCALE_PX, light=is_light(after)), ("lost", "gained attention")),
    ]
    panels = []
    for number, (picture, (scale, ends)) in enumerate(zip(pictures, scales, strict=True)):
        version = min(number, 1)
        pixels = height / images[version].shape[0]
        boxes = [(r.name, tuple(side * pixels for side in _sides(r))) for r in regions[version]]
        drawn = draw_boxes(picture, boxes, text_px) if boxes else picture
        panels.append(add_scale(add_title(drawn, titles[number], text_px), scale, ends, text_px))
    gap = np.full((panels[0].shape[0], GAP_PX, 3), 255, np.uint8)
    return np.hstack([panels[0], gap, panels[1], gap, panels[2]])


def to_change_overlay(
    image: NDArray[np.uint8],
    before_density: NDArray[np.floating],
    after_density: NDArray[np.floating],
) -> NDArray[np.uint8]:
    """Colour a grey picture orange where attention grew and blue where it fell.

    The strongest colour stands for the greater of the two peaks, so small changes stay faint. A
    light picture stays light.

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
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return _colour(grey, change, light=is_light(image))


def to_change_scale(width: int, *, light: bool) -> NDArray[np.uint8]:
    """Return the colours from what lost most attention to what gained most.

    Args:
        width: Pixels.
        light: Whether the picture is a light one.

    Returns:
        (1, width, 3) uint8 RGB.
    """
    grey = np.full((1, width), 255 if light else 128, np.float32)
    change = np.linspace(-1, 1, width, dtype=np.float32)[np.newaxis]
    return _colour(grey, change, light=light)


def _colour(
    grey: NDArray[np.float32], change: NDArray[np.float32], *, light: bool
) -> NDArray[np.uint8]:
    """Return a faded picture, (H, W) of 0..255, coloured by a change of -1..1."""
    ground = (255 - 0.6 * (255 - grey) if light else 0.6 * grey)[:, :, np.newaxis]
    strength = 0.85 * np.sqrt(np.abs(change))[:, :, np.newaxis]
    gained = change[:, :, np.newaxis] > 0
    colour = np.where(gained, np.array(GAINED, np.float32), np.array(LOST, np.float32))
    tinted: NDArray[np.float32] = ground + strength * (colour - ground)
    return (tinted + 0.5).astype(np.uint8)


def _sides(region: Region) -> tuple[float, float, float, float]:
    x, y, width, height = region.box.x, region.box.y, region.box.width, region.box.height
    return x, y, x + width, y + height


def _to_per_area(density: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize to (width, height) `size` and scale so that an even density is 1."""
    even = density.astype(np.float32) * density.size
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _resize(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
