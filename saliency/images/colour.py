"""Convert the colours of an ICC profile to sRGB, by littleCMS, which Pillow includes."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour space of a profile -> mode of the pictures that it is for."""

SAME = 3
"""Largest difference, in levels of 255, at which a profile counts as sRGB: profiles of sRGB differ
by as much from each other."""

CACHED = 8
"""Number of profiles whose conversion is cached: photos of one camera or program share one."""


_SRGB_CODES = frozenset({1, 2, 5, 6, 7}), frozenset({1, 2, 6, 13, 14, 15})
"""Numbers of primaries and transfer functions (CICP) of sRGB, of television, and unknown ones."""


def is_srgb_like(codes: tuple[int, int]) -> bool:
    """Return whether numbers of primaries and transfer function are those of sRGB, or nearly."""
    return codes[0] in _SRGB_CODES[0] and codes[1] in _SRGB_CODES[1]


class _UnusableError(Exception):
    """Why a profile is ignored."""


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert a picture's colours to sRGB; pictures in sRGB cost nothing.

    Args:
        image: A picture of any mode; its alpha is kept.
        profile: Its ICC profile; None: its colours are taken as sRGB.

    Returns:
        The picture, "L", "LA", "RGB", "RGBA" where it was converted, and a note if the profile is
        ignored.
    """
    if profile is None:
        return image, ()
    colours = _drop_alpha(image)
    try:
        conversion = _find_conversion(profile, colours.mode)
    except _UnusableError as reason:
        return image, (f"its colour profile is ignored: {reason}",)
    if conversion is None:
        return image, ()
    converted = _convert(colours, conversion)
    if image.has_transparency_data:
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted, ()


def is_srgb(image: Image.Image, profile: bytes) -> bool:
    """Return whether `profile` changes nothing, or its effect is unknown."""
    try:
        return _find_conversion(profile, _drop_alpha(image).mode) is None
    except _UnusableError:
        return True


def _drop_alpha(image: Image.Image) -> Image.Image:
    """Return the colours without alpha, "L", "RGB" or "CMYK", or deep grey as it is, "I;16"."""
    if image.mode in ("L", "RGB", "CMYK", "I;16"):
        return image
    if image.mode in ("1", "LA"):
        return image.convert("L")
    return (image.convert("RGBA") if image.has_transparency_data else image).convert("RGB")


def _convert(image: Image.Image, conversion: Any) -> Image.Image:
    if isinstance(conversion, np.ndarray):
        values = np.asarray(image)
        levels = conversion if values.dtype == np.uint16 else conversion[::257]
        return Image.fromarray(levels[values])
    converted: Image.Image = conversion.apply(image)
    return converted


@lru_cache(maxsize=CACHED)
def _find_conversion(profile: bytes, mode: str) -> Any:
    """Return the conversion of pictures of `mode`; None if none is needed.

    For grey, deep or not, a table (65536,) uint8 of the levels of 16 bits; else
    littleCMS's transform.

    Raises:
        _UnusableError: The profile is damaged, or for other pictures.
    """
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = _SPACES.get(source.profile.xcolor_space)
        fits = space == mode or (mode in ("L", "I;16") and space in ("L", "RGB"))
        conversion = _build_conversion(source, mode, space) if fits else None
    except Exception as error:  # ImageCms raises several classes, and may be missing
        raise _UnusableError("it is damaged, or littleCMS cannot use it") from error
    if not fits:
        raise _UnusableError(f"it is for {space or 'other'} pictures")
    return conversion


def _build_conversion(source: Any, mode: str, space: str | None) -> Any:
    if mode == "CMYK":
        return _build(source, mode)
    if mode == "RGB":
        transform = _build(source, mode)
        colours = _sample_colours()
        changed = np.asarray(transform.apply(Image.fromarray(colours)))
        return None if _differ(changed, colours) <= SAME else transform
    # Grey pictures often keep the profile of the colour picture that they were made from.
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    if space == "RGB":
        high_bytes = Image.fromarray((ramp >> 8).astype(np.uint8))
        greys = _build(source, "RGB").apply(high_bytes.convert("RGB"))
    else:
        greys = _build(source, "I;16").apply(Image.fromarray(ramp))
    levels = np.asarray(greys)[:, :, 1].reshape(-1)
    return None if _differ(levels[::257], np.arange(256)) <= SAME else levels


def _build(source: Any, mode: str) -> Any:
    from PIL import ImageCms

    return ImageCms.ImageCmsTransform(
        source,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
        | (ImageCms.Flags.NOOPTIMIZE if mode == "I;16" else ImageCms.Flags.NONE),
    )


def _sample_colours() -> NDArray[np.uint8]:
    """Return (1, N, 3) colours all over the cube, and greys."""
    steps = np.arange(0, 256, 51)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    greys = np.repeat(np.arange(0, 256, 5)[:, None], 3, axis=1)
    return np.concatenate([cube, greys])[None].astype(np.uint8)


def _differ(one: NDArray[Any], other: NDArray[Any]) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())
