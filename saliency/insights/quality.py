"""Technical quality of a photo where people look: sharpness, exposure, noise.

The measures need no training: they are computed from the pixels and weighted by the saliency map.
So a portrait with a soft background counts as sharp, and a soft face before a sharp background
does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.insights.attention import require_density
from saliency.sizes import fit_within

SIDE = 1024
"""Longer side, in pixels, at which photos are measured: about what a screen shows. A larger photo
is reduced first, so that detail which nobody sees does not count."""

CELLS = 32
"""Cells along the longer side in which sharpness is measured."""

HIGHLIGHT, SHADOW = 254, 2
"""Level from which a channel counts as clipped, and level up to which a pixel counts as black."""

SOFT = 0.30
"""Sharpness where people look below which a photo is called soft."""

CLIPPED = 0.25
"""Share of attention on clipped pixels above which it is a flaw."""

NOISY = 8.0
"""Noise, in levels of 255, above which a photo is called noisy."""

MISSED = 0.5
"""Ratio of the sharpness where people look to that elsewhere, below which the focus was missed."""

SHAKEN = 0.45
"""`motion_strength` above which a soft photo is called shaken."""


@dataclass(frozen=True, slots=True)
class Quality:
    """A photo's technical quality, weighted by where people look.

    Attributes:
        sharpness: Sharpness where people look, 0 (blurred) to 1 (as sharp as pixels can be), in the
            least sharp direction; None if there are no edges to measure it on.
        sharpness_elsewhere: The same where people do not look; None if there are no edges.
        motion_direction: Direction of a directed blur, in degrees, 0 (horizontal) .. 180, counted
            counter-clockwise; None without a directed blur.
        motion_strength: 0 (the blur, if any, is the same in all directions) to 1.
        clipped_highlights: Share of attention on pixels with a clipped channel, 0..1.
        clipped_shadows: Share of attention on black pixels, 0..1.
        noise: Standard deviation of the noise of luma, in levels of 255.
        has_content: Whether the file shows a picture; False for one colour or mere noise.
        flaws: The flaws, in words for people; "" if there are none.
    """

    sharpness: float | None
    sharpness_elsewhere: float | None
    motion_direction: float | None
    motion_strength: float
    clipped_highlights: float
    clipped_shadows: float
    noise: float
    has_content: bool
    flaws: str

    @property
    def sentence(self) -> str:
        """The verdict for people, in one sentence."""
        if not self.flaws:
            return "Nothing is technically wrong where people look."
        return f"{self.flaws[0].upper()}{self.flaws[1:]}."


def measure_quality(image: NDArray[np.uint8], density: NDArray[np.float32] | None) -> Quality:
    """Measure a photo where people look.

    Args:
        image: (H, W, 3) uint8 RGB, the photo or the photo reduced to `SIDE` pixels or more.
        density: (h, w) of the same photo, of any size, >= 0, such as `Prediction.network_density`.

    Raises:
        InsightError: `density` is None.
    """
    height, width = fit_within((image.shape[0], image.shape[1]), SIDE)
    if (height, width) != image.shape[:2]:
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    attention = np.asarray(
        cv2.resize(require_density(density), (width, height), interpolation=cv2.INTER_LINEAR),
        np.float32,
    )
    attention = np.asarray(attention / max(float(attention.sum()), 1e-12), np.float32)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    noise = _noise(luma)
    blur = _Blur(luma, noise)
    sharpness, motion, direction = blur.where(attention)
    elsewhere, *_ = blur.where(np.asarray(1 / attention.size - attention, np.float32).clip(min=0))
    red, green, blue = cv2.split(image)
    brightest = cv2.max(cv2.max(red, green), blue)
    highlights = float(attention[brightest >= HIGHLIGHT].sum())
    shadows = float(attention[brightest <= SHADOW].sum())
    has_content = _has_content(image)
    return Quality(
        sharpness=sharpness,
        sharpness_elsewhere=elsewhere,
        motion_direction=direction if motion > SHAKEN else None,
        motion_strength=motion,
        clipped_highlights=highlights,
        clipped_shadows=shadows,
        noise=noise,
        has_content=has_content,
        flaws=_say(sharpness, elsewhere, motion, highlights, shadows, noise)
        if has_content
        else NO_PICTURE,
    )


NO_PICTURE = "no picture: one colour, or mere noise"
"""The flaw of an image without content."""

RE_BLUR = 1.5
"""Standard deviation, in pixels, of the blur that is added to a photo to measure its sharpness."""

PERFECT = 0.55
"""Standard deviation, in pixels, of the blur of a photo that is as sharp as pixels can be."""

LEAST_ENERGY = 4.0
"""Mean energy of the gradients, in squared levels, below which there is no edge."""


class _Blur:
    """The blur of a photo's edges, from the energy of its gradients at two scales.

    An edge blurred by a Gaussian of standard deviation s has gradients whose squares sum to a
    constant divided by s. Blurred once more, by r, they sum to the same constant divided by
    sqrt(s^2 + r^2). The quotient R of the two sums gives s = r / sqrt(R^2 - 1), whatever the edge's
    contrast. The energy that noise adds to either sum is computed and subtracted.

    Source:
        Zhuo, Sim, "Defocus map estimation from a single image" (2011), there for single edges.
    """

    def __init__(self, luma: NDArray[np.float32], noise: float) -> None:
        again = cv2.GaussianBlur(luma, (0, 0), RE_BLUR)
        gradients = [_gradients(luma), _gradients(np.asarray(again, np.float32))]
        self._products = [(x * x, x * y, y * y) for x, y in gradients]
        # A difference of neighbours has twice the noise's variance. The second blur averages over
        # 4 pi r^2 pixels and correlates neighbours, so then it has that of the noise's derivative.
        self._noise = [2 * noise**2, noise**2 / (8 * math.pi * RE_BLUR**4)]

    def where(self, weights: NDArray[np.float32]) -> tuple[float | None, float, float | None]:
        """Return sharpness, strength of motion and its direction where `weights` are high."""
        total = float(weights.sum())
        if total <= 0:  # attention is even, so no place is "elsewhere"
            return None, 0.0, None
        tensors = []
        for products, noise in zip(self._products, self._noise, strict=True):
            xx, xy, yy = (float(np.vdot(weights, product)) for product in products)
            tensors.append(np.array([[xx, xy], [xy, yy]]) / total - noise * np.eye(2))
        if np.trace(tensors[0]) < LEAST_ENERGY or np.trace(tensors[1]) <= 0:
            return None, 0.0, None
        angles = np.arange(0, 180, 5)
        blurs = [_deviation(tensors, math.radians(angle)) for angle in angles]
        worst, least = int(np.argmax(blurs)), min(blurs)
        strength = 1 - least / blurs[worst]
        direction = float(-angles[worst] % 180)  # rows count downwards
        return min(1.0, PERFECT / blurs[worst]), strength, direction


def _deviation(tensors: list[NDArray[np.float64]], angle: float) -> float:
    """Return the blur along a direction, in pixels."""
    along = np.array([math.cos(angle), math.sin(angle)])
    fine, coarse = (max(float(along @ tensor @ along), 1e-6) for tensor in tensors)
    return RE_BLUR / math.sqrt(max((fine / coarse) ** 2 - 1, 1e-3))


def _gradients(luma: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return differences of neighbours, rightwards and downwards, (H, W) each."""
    right = np.array([[0, -1, 1]], np.float32)
    return (
        np.asarray(cv2.filter2D(luma, -1, right), np.float32),
        np.asarray(cv2.filter2D(luma, -1, right.T), np.float32),
    )


def _noise(luma: NDArray[np.float32]) -> float:
    """Return the noise's standard deviation, in levels, in the flattest tenth of the photo.

    Source:
        Immerkaer, "Fast noise variance estimation" (1996).
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(luma, -1, mask)) / 6 * math.sqrt(math.pi / 2)
    usable = ((luma > 8) & (luma < 247)).astype(np.float32)
    rows, columns = max(1, luma.shape[0] // CELLS), max(1, luma.shape[1] // CELLS)
    size = (columns, rows)
    level = cv2.resize(
        np.asarray(response * usable, np.float32), size, interpolation=cv2.INTER_AREA
    )
    share = cv2.resize(usable, size, interpolation=cv2.INTER_AREA)
    cells = (level / np.maximum(share, 1e-6))[share > 0.5]
    return float(np.quantile(cells, 0.1)) if cells.size else 0.0


def _has_content(image: NDArray[np.uint8]) -> bool:
    """Return whether neighbouring parts of the photo are alike, and parts differ at all."""
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    centered = small - small.mean(axis=(0, 1))
    variance = float((centered**2).mean())
    if variance < 1.5**2:
        return False
    right = float((centered[:, 1:] * centered[:, :-1]).mean())
    down = float((centered[1:] * centered[:-1]).mean())
    return (right + down) / 2 / variance > 0.3


def _say(
    sharpness: float | None,
    elsewhere: float | None,
    motion: float,
    highlights: float,
    shadows: float,
    noise: float,
) -> str:
    found = []
    if sharpness is not None and sharpness < SOFT:
        found.append("shaken" if motion > SHAKEN else "soft where people look")
    elif sharpness is not None and elsewhere is not None and sharpness < MISSED * elsewhere:
        found.append("sharper elsewhere than where people look")
    if highlights > CLIPPED:
        found.append("highlights are blown where people look")
    if shadows > CLIPPED:
        found.append("shadows are black where people look")
    if noise > NOISY:
        found.append("noisy")
    return ", ".join(found)
