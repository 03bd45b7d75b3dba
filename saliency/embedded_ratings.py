"""Whether somebody has rated a photo, by what is written inside it.

Read are EXIF's Rating and RatingPercent, and in XMP, whatever prefix its namespaces have, the
ratings of XMP itself, of Microsoft and of ACDSee. IPTC's urgency (1..8) is how soon a press photo
is to be sent, and counts as no rating; neither do labels, colours and flags.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from saliency.images.formats import find_reader, open_image
from saliency.images.tiff import list_pages, read_directory

_EXIF_TAGS = (0x4746, 0x4749)
"""Rating, 0..5 stars, and RatingPercent."""

_EXIF_IFD = 0x8769
_TIFF = re.compile(rb"(?:Exif\0\0)?(II[*+]\0|MM\0[*+])")
"""Start of EXIF, which is a TIFF, and of a TIFF itself."""

_NAMESPACES = (
    rb"http://ns\.adobe\.com/xap/1\.0/",
    rb"http://ns\.microsoft\.com/photo/\d\.\d/?",
    rb"http://ns\.acdsee\.com/iptc/1\.0/",
)
_DECLARATION = re.compile(
    rb"xmlns(?::([^\s:=\"'<>/]+))?\s*=\s*[\"'](?:" + rb"|".join(_NAMESPACES) + rb")[\"']"
)
_NOTHING = re.compile(rb"\s*[+-]?0*\.?0*\s*")
"""No rating: 0, or no text; -1 is rejected."""

_WIDE = re.compile(rb"a\0+t\0+i\0+n\0+g")
"""Part of "Rating" in letters of 16 or 32 bits."""
_EXTENSION = re.compile(rb"\xff\xe1..http://ns\.adobe\.com/xmp/extension/\0.{40}", re.DOTALL)
"""What divides the parts of a long XMP in a JPEG."""

MAX_TEXT_BYTES = 4 * 2**20
"""Of a compressed text, unpacked."""


def is_rated(photo: Path) -> bool:
    """Return whether a photo has a rating inside.

    Raises:
        OSError: It cannot be read.
    """
    data = photo.read_bytes()
    parts = list(_list_parts(data))
    return any(map(_has_xmp_rating, parts)) or any(map(_has_exif_rating, _list_exif(data, parts)))


def _list_parts(data: bytes) -> Iterator[bytes]:
    """Yield what may hold XMP: the file, where it is plain text, and a PNG's texts and EXIF."""
    yield data
    if _WIDE.search(data):
        yield data.replace(b"\0", b"")
    if _EXTENSION.search(data):
        yield _EXTENSION.sub(b"", data)
    if not data.startswith(b"\x89PNG"):
        return
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind in (b"iTXt", b"zTXt", b"tEXt"):
            yield _unpack_text(kind, body)
        elif kind == b"eXIf":
            yield body


def _list_exif(data: bytes, parts: list[bytes]) -> Iterator[bytes]:
    """Yield EXIF. Of PNG and TIFF Pillow opens fewer files than this package reads."""
    found = [part for part in parts if _TIFF.match(part)]
    if not (found or data.startswith(b"\x89PNG")):
        try:
            found = [open_image(find_reader(data, "the photo"), data).info["exif"]]
        except Exception:  # no image, or no EXIF
            return
    yield from (part.removeprefix(b"Exif\0\0") for part in found)


def _unpack_text(kind: bytes, body: bytes) -> bytes:
    keyword, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        is_packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    else:
        is_packed, rest = kind == b"zTXt", rest[kind == b"zTXt" :]
    if is_packed:
        try:
            rest = zlib.decompressobj().decompress(rest, MAX_TEXT_BYTES)
        except zlib.error:
            return b""
    if keyword.startswith(b"Raw profile type"):  # a name, a length, and hexadecimal digits
        digits = re.sub(rb"[^0-9a-fA-F]", b"", b"".join(rest.split(b"\n")[3:]))
        return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    return rest


def _has_xmp_rating(text: bytes) -> bool:
    prefixes = {found[1] or b"" for found in _DECLARATION.finditer(text)}
    for prefix in prefixes:
        name = (re.escape(prefix) + b":" if prefix else b"") + rb"[Rr]ating"
        as_attribute = rb"\s" + name + rb"\s*=\s*(?:\"([^\"]*)\"|'([^']*)')"
        as_element = rb"<" + name + rb"(?:\s[^>]*)?(?<!/)>([^<]*(?:<[^/][^>]*>[^<]*)*)<"
        as_value = rb"<" + name + rb"\s[^>]*?:value\s*=\s*[\"']([^\"'>]*)[\"'][^>]*/>"
        for found in re.finditer(b"|".join((as_attribute, as_element, as_value)), text):
            value = next((group for group in found.groups() if group is not None), b"")
            if not _NOTHING.fullmatch(value):
                return True
    return False


def _has_exif_rating(exif: bytes) -> bool:
    try:
        for _, tags in list_pages(exif):
            below = tags.get(_EXIF_IFD)
            folders = [tags, *([read_directory(exif, below)] if isinstance(below, int) else [])]
            if any(_is_number_but_0(folder.get(tag)) for folder in folders for tag in _EXIF_TAGS):
                return True
    except Exception:  # damaged: nobody can read a rating there
        return False
    return False


def _is_number_but_0(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_number_but_0, value))
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.strip("\0 ") not in ("", "0") if isinstance(value, str) else value not in (None, 0)
