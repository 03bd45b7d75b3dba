"""Scale samples deeper than eight bits: which numbers are black and white.

Integers: 0 is black and the largest number of that depth white. Floats: 1 is white, or 255 where
more than one value in a hundred exceeds 1. So one hot pixel does not decide how all others are
read. Values that fit neither scale are refused, because a guess could give a black picture.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ImageDecodeError

FEW = 0.01
"""Largest share of values beyond white or black: hot pixels, ringing of a filter."""

DIM = 16
"""Level of 255: floats that exceed 1 but hardly ever reach it are on an unknown scale."""


def to_8_bits(values: NDArray[Any], name: str, *, is_alpha: bool = False) -> NDArray[np.uint8]:
    """Scale grey or colour samples, unsigned integers of any depth or floats, to 0..255.

    Colour of 16 bits loses its low byte, as in Pillow, which is at most one level off. All other
    values are rounded.

    Args:
        values: (H, W) or (H, W, S); integers fill the range of their type.
        name: Name of the photo for messages.
        is_alpha: Whether they are opacity, which may be 0 nearly everywhere.

    Raises:
        ImageDecodeError: Floats, or integers of more than eight bits, are on an unknown scale.
    """
    if values.dtype.kind == "f":
        return _from_floats(values, name)
    if values.dtype == np.uint8:
        return values
    white = int(np.iinfo(values.dtype).max)
    if not is_alpha:
        check_reach(values, white, name)
    if values.ndim == 3 and values.shape[2] >= 3:
        return (values >> (8 * (values.dtype.itemsize - 1))).astype(np.uint8)
    if white > 65535:
        return (values * (255 / white) + 0.5).astype(np.uint8)
    return np.asarray(_LEVELS[values])


def from_integers(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Scale Pillow's 32-bit grey (H, W) to 0..255, as 16 bits in larger numbers.

    Raises:
        ImageDecodeError: More than a few values exceed 16 bits.
    """
    if np.mean((values < 0) | (values > 65535)) > FEW:
        raise ImageDecodeError(
            f"{name} should have grey values within 0..65535. "
            f"Found {values.min():,}..{values.max():,}."
        )
    return np.asarray(_LEVELS[values.clip(0, 65535)])


_LEVELS = ((np.arange(65536) * 255 + 32767) // 65535).astype(np.uint8)


def check_reach(values: NDArray[Any], white: int, name: str) -> None:
    """Refuse pictures that would be black: small numbers in large samples."""
    if np.mean(values > white // 256) <= FEW and values.any():
        raise ImageDecodeError(
            f"{name} should have samples within 0..{white:,}. Found hardly any above "
            f"{white // 256:,}; save it with 8 or 16 bits per sample."
        )


def _from_floats(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ImageDecodeError(
            f"{name} should have numbers as samples. Found only NaN or infinity."
        )

    def share(beyond: NDArray[np.bool_]) -> float:
        return float(np.mean(beyond)) if beyond.size else 0.0

    white = 1.0 if share(finite > 1) <= FEW else 255.0
    is_odd = share(finite > white) > FEW or share(finite < -FEW * white) > FEW
    if is_odd or (white > 1 and share(finite > DIM) <= FEW):
        raise ImageDecodeError(
            f"{name} should have floats within 0..1 or 0..255. "
            f"Found {finite.min():g}..{finite.max():g}; save it with 8 or 16 bits per sample."
        )
    filled = np.nan_to_num(values.astype(np.float32), nan=0, posinf=white, neginf=0)
    return (filled.clip(0, white) * (255 / white) + 0.5).astype(np.uint8)
