"""Photos of any size for measurements: drawn, or one of the user's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 90
SIDE_MULTIPLE = 16
FINEST, GROWTH = 4.0, 1.35
"""Standard deviation of the finest octave in grey levels, and its growth from octave to octave;
together about 2.2 bits for each pixel at `QUALITY`, as photos have."""


@dataclass(frozen=True)
class BenchPhoto:
    """A JPEG file in memory.

    Attributes:
        megapixels: Nominal size.
        jpeg: Content of the file.
        size: (height, width), landscape.
    """

    megapixels: float
    jpeg: bytes
    size: tuple[int, int]


def make_photo(megapixels: float, source: NDArray[np.uint8] | None = None) -> BenchPhoto:
    """Return a landscape JPEG with sides of 4 to 3, as a camera would write it.

    Args:
        megapixels: Approximate size; 0.3 is 640x480.
        source: (H, W, 3) uint8 RGB, the picture to show; None: a drawing.
    """
    width = max(1, round(math.sqrt(megapixels * 1e6 * 4 / 3) / SIDE_MULTIPLE)) * SIDE_MULTIPLE
    size = width * 3 // 4, width
    pixels = draw_photo(size) if source is None else _resize(source, size)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return BenchPhoto(megapixels, file.getvalue(), size)


def draw_photo(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """Draw a picture that costs a decoder as much as a photo: detail of all sizes, fine ones faint.

    Args:
        size: (height, width).
        seed: Seed; another one gives another drawing.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rng = np.random.default_rng(seed)
    coarsest = max(1, int(math.log2(min(size))) - 1)
    grey = _draw_plane(rng, size, coarsest, finest=0)
    planes: list[NDArray[Any]] = [grey]
    for _ in range(2):
        tint = _draw_plane(rng, size, coarsest, finest=min(coarsest, 4))
        planes.append(cv2.addWeighted(tint, 0.5, tint, 0, 64))  # half as strong
    return np.asarray(cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB), np.uint8)


def _draw_plane(
    rng: np.random.Generator, size: tuple[int, int], coarsest: int, finest: int
) -> NDArray[np.uint8]:
    """Return (H, W) noise around 128, with patches from 2 ** coarsest to 2 ** finest pixels."""
    height, width = size
    plane = np.zeros((1, 1), np.float32)
    for octave in range(coarsest, finest - 1, -1):
        rows, columns = math.ceil(height / 2**octave), math.ceil(width / 2**octave)
        plane = _scale(plane, (rows, columns))
        strength = np.float32(FINEST * min(GROWTH**octave, 10))
        plane += strength * rng.standard_normal((rows, columns), np.float32)
    return _scale((plane + 128).clip(0, 255).astype(np.uint8), size)


def _scale(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    return np.asarray(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR))


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    smaller = size[0] < image.shape[0]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size[::-1], interpolation=interpolation), np.uint8)
