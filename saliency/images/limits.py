"""Limits that are checked before any pixel is decoded."""

from dataclasses import dataclass

from saliency.errors import ImageTooLargeError


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest file and the largest picture to accept."""

    max_bytes: int = 200 * 2**20  # size of the file: no camera writes more for one photo
    max_pixels: int = 200_000_000  # height x width: above every camera, 600 MB as RGB


DEFAULT_LIMITS = ImageLimits()

MAX_SAMPLE_BYTES = 8
"""Most bytes per pixel that a TIFF may unpack to: four samples of 16 bits."""


def check_bytes(size: int, name: str, limits: ImageLimits) -> None:
    """Refuse a file of `size` bytes that is too large.

    Raises:
        ImageTooLargeError: It is too large.
    """
    if size > limits.max_bytes:
        raise ImageTooLargeError(
            f"{name} should have at most {limits.max_bytes:,} bytes. Found {size:,}."
        )


def check_pixels(size: tuple[int, ...], name: str, limits: ImageLimits) -> None:
    """Refuse a picture of `size` (height, width) that is too large.

    Raises:
        ImageTooLargeError: It is too large.
    """
    height, width = size
    if height * width > limits.max_pixels:
        raise ImageTooLargeError(
            f"{name} should have at most {limits.max_pixels:,} pixels. "
            f"Found {height * width:,}: height {height}, width {width}."
        )


def check_samples(size: int, name: str, limits: ImageLimits) -> None:
    """Refuse a picture whose samples take `size` bytes if that is too much.

    Raises:
        ImageTooLargeError: It is too large.
    """
    allowed = MAX_SAMPLE_BYTES * limits.max_pixels
    if size > allowed:
        raise ImageTooLargeError(
            f"{name} should unpack to at most {allowed:,} bytes. Found {size:,}."
        )
