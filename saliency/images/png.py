"""PNG: keep only the chunks that matter, and handle transparent levels at their full depth."""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from saliency.images.depth import check_reach, to_8_bits

MAX_PROFILE_BYTES = 16 * 2**20
"""Largest unpacked colour profile; JPEG has the same limit."""

_MAX_TEXTS, _MAX_TEXT_BYTES = 4, 2**20
"""Most texts that are searched for an orientation, and most unpacked bytes of each."""

_PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Texts that may contain an orientation; all others are ignored."""

_SRGB_LIKE = {(1, 1), (1, 6), (1, 13), (1, 14), (1, 15)}
"""Numbers of primaries and transfer function in cICP that are sRGB, or nearly so."""

_SRGB_GAMMA, _GAMMA_STEP = 45455, 5000
"""Value of gAMA that is nearly sRGB's curve, and largest difference that is nearly the same."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel of each colour type."""

_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""First column and row, and steps, of each pass of an interlaced picture."""

_PIECE_BYTES = 2**20
"""Most bytes that are unpacked at once to count them."""

_GREY, _RGB = 0, 2
"""Colour types without an alpha channel, for which tRNS contains a level."""


class Png(NamedTuple):
    """A PNG without the chunks that Pillow fails on.

    Attributes:
        data: The file with only the chunks of the picture.
        profile: The ICC profile; b"" if it is damaged.
        bits: Bits of a sample.
        colour_type: Colour type in the header.
        transparent: Transparent level, one or three samples.
        notes: Colour information of the file that was not applied.
    """

    data: bytes
    profile: bytes | None
    bits: int
    colour_type: int
    transparent: tuple[int, ...] | None
    notes: tuple[str, ...]


def clean_png(data: bytes) -> Png:
    """Divide a PNG into its chunks. Damaged ones stay in `data`, so that Pillow refuses them."""
    kept, at = [data[:8]], 8
    profile: bytes | None = None
    transparent: tuple[int, ...] | None = None
    code: tuple[int, int] | None = None
    gamma, is_srgb = _SRGB_GAMMA, False
    texts = 0
    bits, colour_type = (data[24], data[25]) if len(data) > 25 else (8, _RGB)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        start, at = at, at + 12 + length
        body = slice(start + 8, at - 4)
        if at > len(data):
            at = start
            break
        if kind == b"iCCP":
            profile = _unpack_profile(data[body])
        elif kind == b"cICP" and length >= 2:
            code = data[body][0], data[body][1]
        elif kind == b"gAMA" and length >= 4:
            [gamma] = struct.unpack_from(">I", data, body.start)
        elif kind == b"sRGB":
            is_srgb = True
        elif kind == b"tRNS" and colour_type in (_GREY, _RGB):
            samples = 1 if colour_type == _GREY else 3
            if length >= 2 * samples:
                levels = struct.unpack_from(f">{samples}H", data, body.start)
                transparent = tuple(level % 2**bits for level in levels)
        elif kind in _PICTURE:
            kept.append(data[start:at])
        elif kind in _TEXT_CHUNKS and texts < _MAX_TEXTS and _may_turn(data[body]):
            texts += 1
            kept.append(data[start:at])
        if kind == b"IEND":
            break
    else:
        kept.append(data[at:])
    notes: tuple[str, ...] = ()
    if code is not None and code not in _SRGB_LIKE and not profile:
        notes = ("its cICP chunk names other colours than sRGB's, which is not applied",)
    elif profile is None and not is_srgb and abs(gamma - _SRGB_GAMMA) > _GAMMA_STEP:
        notes = (f"its gAMA chunk names an exponent of {gamma / 1e5:g}, which is not applied",)
    return Png(b"".join(kept), profile, bits, colour_type, transparent, notes)


def _unpack_profile(body: bytes) -> bytes:
    _, _, packed = body.partition(b"\0")
    return _inflate(packed[1:], MAX_PROFILE_BYTES) or b""


def _inflate(packed: bytes, limit: int) -> bytes | None:
    """Return unpacked data, or None if they are damaged or larger than `limit`."""
    inflater = zlib.decompressobj()
    try:
        unpacked = inflater.decompress(packed, limit)
    except zlib.error:
        return None
    return unpacked if inflater.eof else None


def _may_turn(body: bytes) -> bool:
    """Return whether a text may contain an orientation and Pillow can read it."""
    if not body.startswith(_TEXTS) or len(body) > _MAX_TEXT_BYTES:
        return False
    packed = re.match(rb"XML:com.adobe.xmp\0\x01.[^\0]*\0[^\0]*\0|Raw profile type exif\0\0", body)
    return packed is None or _inflate(body[packed.end() :], _MAX_TEXT_BYTES) is not None


def load_png(png: Png, image: PngImageFile) -> Image.Image:
    """Decode a PNG; a level that is transparent becomes an alpha channel.

    Args:
        png: The file.
        image: `png.data`, opened by Pillow.

    Returns:
        A picture of any mode; deep grey keeps its depth, "I;16", where it has no alpha.
    """
    image.load()
    _check_rows(png, image)
    if png.bits == 16 and image.mode in ("RGB", "RGBA", "LA") and _is_black(image):
        _check_deep(png)
    if png.transparent is None:
        return image
    if png.bits == 16 and png.colour_type == _RGB:
        return _load_deep_rgb(png)  # Pillow keeps only the high bytes
    if png.colour_type == _RGB:
        values = np.asarray(image.convert("RGB"))
        hidden = (values == np.array(png.transparent)).all(axis=2)
    else:
        values = np.asarray(image if image.mode == "I;16" else image.convert("L"))
        level = png.transparent[0] * (1 if png.bits >= 8 else 255 // (2**png.bits - 1))
        hidden = values == level
    return _hide(Image.fromarray(to_8_bits(values, "")), hidden)


def _check_rows(png: Png, image: PngImageFile) -> None:
    """Refuse a PNG whose data end, properly, before its last row: Pillow leaves the rest black.

    Raises:
        ValueError: Rows are missing.
    """
    width, height = image.size
    is_interlaced = bool(png.data[28])
    if not is_interlaced and np.asarray(image.crop((0, height - 1, width, height))).any():
        return
    passes = _ADAM7 if is_interlaced else ((0, 0, 1, 1),)
    pixel_bits = _SAMPLES.get(png.colour_type, 1) * png.bits
    missing = 0
    for x, y, across, down in passes:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        missing += rows * (1 + -(-columns * pixel_bits // 8)) if columns > 0 else 0
    inflater, at = zlib.decompressobj(), 8
    while at + 12 <= len(png.data):
        length, kind = struct.unpack_from(">I4s", png.data, at)
        packed = png.data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        while packed and not inflater.eof:
            missing -= len(inflater.decompress(packed, _PIECE_BYTES))
            packed = inflater.unconsumed_tail
        at += 12 + length
    if missing > 0:
        raise ValueError("its last rows are missing")


def _is_black(image: PngImageFile) -> bool:
    highest = np.array(image.getextrema())[:, 1]
    return not highest[: 1 if image.mode == "LA" else 3].any()


def _check_deep(png: Png) -> None:
    """Refuse small numbers in 16 bits, of which Pillow keeps only the high byte, 0."""
    decoded = cv2.imdecode(np.frombuffer(png.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is not None and decoded.dtype == np.uint16:
        check_reach(decoded[:, :, :3], 65535, "the photo")


def _load_deep_rgb(png: Png) -> Image.Image:
    decoded = cv2.imdecode(np.frombuffer(png.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.shape[2:] != (3,):
        raise ValueError("the pixels are damaged")
    rgb: NDArray[np.uint16] = np.asarray(decoded[:, :, ::-1], np.uint16)
    hidden = (rgb == np.array(png.transparent)).all(axis=2)
    return _hide(Image.fromarray((rgb >> 8).astype(np.uint8)), hidden)


def _hide(picture: Image.Image, hidden: NDArray[np.bool_]) -> Image.Image:
    picture.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))
    return picture
