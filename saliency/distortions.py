"""Copies of a photo that are spoilt in one way, from not at all (severity 0) to badly (1).

Damage by a lens or a sensor is computed in linear light, where light adds up; damage by a file's
encoding is computed on its levels. Lengths scale with the photo, so that a severity looks the same
at any size. Parameters and margins are chosen together, see `Distortion`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Linear = NDArray[np.float32]

NOTICEABLE = 0.1
"""Severity below which people can hardly tell a copy from the photo; its margin is 0."""


@dataclass(frozen=True)
class Distortion:
    """One way in which photos go wrong.

    Severities are made comparable by structure: at severity 1 the mean structural similarity (SSIM
    of luma at 384 pixels, over everyday photos) of the kinds that destroy detail is about .5, at
    1/3 about .85 (table in docs/results/score-and-order.md). Kinds that change tone and colour
    do not change structure; they can be intended (night, haze), so their margins are small.

    Attributes:
        name: Key in tables and recipes.
        apply: Function of image, severity 0..1 and random numbers; it returns the spoilt image, of
            the same size.
        margin: Smallest number of points of 1..10 by which a copy of severity 1 is worse.
    """

    name: str
    apply: Callable[[Image, float, np.random.Generator], Image]
    margin: float

    def __call__(self, image: Image, severity: float, rng: np.random.Generator) -> Image:
        """Return a copy of `image`, (H, W, 3) uint8 RGB, spoilt by `severity`, 0..1."""
        if not 0 <= severity <= 1:
            raise ValueError(f"`severity` should be in 0..1. Found {severity}.")
        if severity == 0:
            return image.copy()
        spoilt: Image = self.apply(image, severity, rng)
        return spoilt

    def margin_at(self, severity: float) -> float:
        """Return by how many points a copy should score lower; 0 if nobody would notice."""
        return self.margin * max(0.0, severity - NOTICEABLE) / (1 - NOTICEABLE)


def _decode_table() -> Linear:
    """Return (256,) linear light 0..1 of sRGB's levels."""
    v = np.arange(256) / 255
    decoded = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return np.asarray(decoded, np.float32)


def _encode_table() -> Image:
    """Return (4096,) sRGB levels of the square root of linear light, which spreads the shadows."""
    v = (np.arange(4096) / 4095) ** 2
    encoded = np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255), np.uint8)


_TO_LINEAR, _FROM_ROOT = _decode_table(), _encode_table()


def to_linear(image: Image) -> Linear:
    """Return (H, W, 3) float32 linear light, 0..1, of sRGB levels."""
    return np.asarray(_TO_LINEAR[image])


def from_linear(linear: Linear) -> Image:
    """Return (H, W, 3) uint8 sRGB levels; light beyond 0..1 is clipped, as by a sensor."""
    root = np.sqrt(np.clip(linear, 0, 1))
    return np.asarray(_FROM_ROOT[(root * 4095 + 0.5).astype(np.uint16)])


def _long_side(image: Image) -> int:
    return int(max(image.shape[:2]))


def _convolve(image: Image, kernel: Linear) -> Image:
    blurred = cv2.filter2D(to_linear(image), -1, kernel, borderType=cv2.BORDER_REFLECT)
    return from_linear(np.asarray(blurred, np.float32))


def _disc(radius_px: float) -> Linear:
    """Return a disc that sums to 1, its edge antialiased."""
    reach = math.ceil(radius_px)
    ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius_px + 0.5 - np.hypot(xs, ys), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _line(length_px: float, angle: float) -> Linear:
    """Return a straight line through the middle that sums to 1, antialiased."""
    half = length_px / 2
    reach = math.ceil(half)
    ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = np.clip(half + 0.5 - np.abs(xs * math.cos(angle) + ys * math.sin(angle)), 0, 1)
    across = np.clip(1 - np.abs(ys * math.cos(angle) - xs * math.sin(angle)), 0, 1)
    kernel = along * across
    return np.asarray(kernel / kernel.sum(), np.float32)


def _defocus(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Blur by a disc of up to 1.8 % of the longer side in radius, as a lens out of focus."""
    return _convolve(image, _disc(severity * 0.018 * _long_side(image)))


def _motion(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Shake the camera along a line of up to 4.5 % of the longer side."""
    length = severity * 0.045 * _long_side(image)
    return _convolve(image, _line(length, rng.uniform(0, math.pi)))


def _noise(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Add a sensor's noise: shot noise, which grows with the root of the light, and read noise.

    The grain is as coarse as in a photo of 400 pixels; in a large photo finer grain would average
    out.
    """
    linear = to_linear(image)
    height, width = image.shape[:2]
    scale = max(1.0, _long_side(image) / 400)
    size = (max(1, round(height / scale)), max(1, round(width / scale)), 3)
    grain = rng.standard_normal(size, dtype=np.float32)
    if scale > 1:
        grain = np.asarray(cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC))
    deviation = severity**1.5 * (0.02 + 0.18 * np.sqrt(linear))
    return from_linear(linear + deviation * grain)


def _under_exposure(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Take up to 4 stops of light away; shadows fall below the first level."""
    return from_linear(to_linear(image) * np.float32(2 ** (-4 * severity)))


def _over_exposure(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Add up to 3 stops of light; highlights clip."""
    return from_linear(to_linear(image) * np.float32(2 ** (3 * severity)))


def _low_contrast(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Draw all levels towards their mean, up to a sixth of their spread."""
    levels = image.astype(np.float32)
    mean = levels.mean()
    return _to_levels(mean + (levels - mean) * (1 - 0.82 * severity))


def _haze(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Mix the light of the scene with up to 80 % of a bright grey."""
    share = np.float32(0.8 * severity**1.5)
    return from_linear(to_linear(image) * (1 - share) + share * np.float32(0.65))


def _jpeg(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Encode as JPEG of quality 60 down to 3, at no more than 500 pixels.

    JPEG blocks have 8 pixels whatever the photo's size, and nobody sees them in a large photo. So a
    larger photo is encoded at the size that a web page would show.
    """
    quality = round(60 * (3 / 60) ** severity)
    small = _shrink(image, 500)
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if ok else None
    if decoded is None:
        raise RuntimeError(f"OpenCV should encode {small.shape} as JPEG. Found that it cannot.")
    return _enlarge(np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8), image)


def _low_resolution(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Shrink the photo to as little as 48 pixels, of 384, and enlarge it again."""
    factor = 8**severity
    return _enlarge(_shrink(image, max(8, round(384 / factor))), image)


def _color_cast(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Multiply the light's colours by up to 2.4, in a random hue, at equal luminance."""
    hue = rng.uniform(0, 2 * math.pi)
    turns = hue + np.array([0, 2, 4]) * math.pi / 3
    gains = np.exp(severity * 0.9 * np.cos(turns))
    gains /= gains @ [0.2126, 0.7152, 0.0722]
    return from_linear(to_linear(image) * gains.astype(np.float32))


def _banding(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Reduce each colour channel to few levels: 32 down to 3."""
    steps = 31 * (2 / 31) ** severity
    levels = np.rint(np.arange(256) / 255 * steps) / steps * 255
    return np.asarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)[image])


def _over_sharpening(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Sharpen too much: add up to 5 times the detail that a blur of .5 % of the side removes."""
    levels = image.astype(np.float32)
    blurred = cv2.GaussianBlur(levels, (0, 0), max(0.5, 0.005 * _long_side(image)))
    return _to_levels(levels + 5 * severity**1.5 * (levels - blurred))


def _to_levels(levels: NDArray[np.float32]) -> Image:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _shrink(image: Image, longest_px: int) -> Image:
    height, width = image.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _enlarge(image: Image, like: Image) -> Image:
    height, width = like.shape[:2]
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


DISTORTIONS = {
    distortion.name: distortion
    for distortion in (
        Distortion("defocus", _defocus, 2.0),
        Distortion("motion", _motion, 2.0),
        Distortion("noise", _noise, 1.6),
        Distortion("under_exposure", _under_exposure, 1.0),
        Distortion("over_exposure", _over_exposure, 1.6),
        Distortion("low_contrast", _low_contrast, 1.0),
        Distortion("haze", _haze, 0.8),
        Distortion("jpeg", _jpeg, 1.6),
        Distortion("low_resolution", _low_resolution, 2.0),
        Distortion("color_cast", _color_cast, 1.0),
        Distortion("banding", _banding, 1.2),
        Distortion("over_sharpening", _over_sharpening, 1.2),
    )
}
"""All distortions by name."""
