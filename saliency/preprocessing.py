"""How a photo becomes the network's input; stored in the checkpoint, never a constant."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.errors import ConfigError

SIZE_MULTIPLE = 32
"""Encoders halve their input five times."""


def check_size(height: int, width: int) -> None:
    """Refuse a size that no encoder takes as a landscape input.

    Raises:
        ConfigError: A side is no multiple of 32, or the input is upright.
    """
    for side in (height, width):
        if side <= 0 or side % SIZE_MULTIPLE:
            nearest = tuple(
                max(1, round(s / SIZE_MULTIPLE)) * SIZE_MULTIPLE for s in (height, width)
            )
            raise ConfigError(
                f"`size` should be two multiples of {SIZE_MULTIPLE}. "
                f"Found ({height}, {width}); nearest is {nearest}."
            )
    if height > width:
        raise ConfigError(
            "`size` is (height, width) of a landscape input, so height <= width. "
            f"Found ({height}, {width})."
        )


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Resize to the network's size and normalise as the encoder expects.

    A photo is stretched to that of the network's `sizes` whose proportions are nearest to its own.

    Attributes:
        height: Pixels of a landscape input, a multiple of 32.
        width: Pixels of a landscape input, a multiple of 32, at least `height`.
        mean: Means of the RGB channels scaled to 0..1.
        std: Standard deviations of the RGB channels scaled to 0..1.
        further_sizes: More (height, width) of landscape or square inputs, of about the same area.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    further_sizes: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for size in ((self.height, self.width), *self.further_sizes):
            check_size(*size)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """All (h, w) of inputs, landscape ones first; the first is the main one."""
        landscape = ((self.height, self.width), *self.further_sizes)
        return tuple(dict.fromkeys((*landscape, *(size[::-1] for size in landscape))))

    def network_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the (h, w) that a photo of `image_size` (height, width) is resized to."""
        proportions = math.log(image_size[1] / image_size[0])
        # Rounded, so that a square photo is as far from (h, w) as from (w, h), and takes the first.
        return min(self.sizes, key=lambda s: round(abs(math.log(s[1] / s[0]) - proportions), 9))

    def to_input(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return one photo as the network's input.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (3, h, w) float32.
        """
        size = self.network_size((image.shape[0], image.shape[1]))
        planes = np.empty((3, *size), np.float32)
        mean = np.asarray(self.mean, np.float32) * 255
        std = np.asarray(self.std, np.float32) * 255
        for channel, plane in enumerate(cv2.split(resize(image, size))):
            np.subtract(plane, mean[channel], out=planes[channel])
            planes[channel] /= std[channel]
        return planes


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, 3) to `size` (height, width), without aliasing when it shrinks."""
    height, width = size
    # First what shrinks, then what grows: INTER_AREA averages only where neither side grows.
    smaller = (min(height, image.shape[0]), min(width, image.shape[1]))
    for (rows, columns), interpolation in ((smaller, cv2.INTER_AREA), (size, cv2.INTER_LINEAR)):
        if image.shape[:2] != (rows, columns):
            image = np.asarray(cv2.resize(image, (columns, rows), interpolation=interpolation))
    return image
