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

_EXIF_TAGS = (0x4746, 0x4749)
"""Rating, 0..5 stars, and RatingPercent."""

_NAMESPACES = (
    rb"http://ns\.adobe\.com/xap/1\.0/",
    rb"http://ns\.microsoft\.com/photo/\d\.\d/?",
    rb"http://ns\.acdsee\.com/iptc/1\.0/",
)
_DECLARATION = re.compile(
    rb"xmlns(?::([\w.-]+))?\s*=\s*[\"'](?:" + rb"|".join(_NAMESPACES) + rb")[\"']"
)
_NOTHING = re.compile(rb"\s*[+-]?0*\.?0*\s*")
"""No rating: 0, or no text; -1 is rejected."""

MAX_TEXT_BYTES = 4 * 2**20
"""Of a compressed text, unpacked."""


def is_rated(photo: Path) -> bool:
    """Return whether a photo has a rating inside.

    Raises:
        OSError: It cannot be read.
    """
    data = photo.read_bytes()
    return any(map(_has_xmp_rating, _list_texts(data))) or _has_exif_rating(data)


def _list_texts(data: bytes) -> Iterator[bytes]:
    """Yield what may hold XMP: the file, where it is plain text, and a PNG's compressed chunks."""
    yield data
    if b"\0x\0:\0x\0m\0p" in data:  # sixteen bits a letter
        yield data.replace(b"\0", b"")
    if not data.startswith(b"\x89PNG"):
        return
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind in (b"iTXt", b"zTXt", b"tEXt"):
            yield _unpack_text(kind, body)


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
        for found in re.finditer(as_attribute + b"|" + as_element, text):
            value = next((group for group in found.groups() if group is not None), b"")
            if not _NOTHING.fullmatch(value):
                return True
    return False


def _has_exif_rating(data: bytes) -> bool:
    try:
        exif = open_image(find_reader(data, "the photo"), data).getexif()
        return any(_is_number_but_0(exif.get(tag)) for tag in _EXIF_TAGS)
    except Exception:  # no image, or damaged EXIF: nobody can read a rating there
        return False


def _is_number_but_0(value: object) -> bool:
    return value not in (None, 0, b"", "", "0", (), b"\0")
