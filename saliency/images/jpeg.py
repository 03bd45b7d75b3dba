"""JPEG: limit the work of decoding, and detect damaged data.

libjpeg decodes damaged data with a warning that Pillow drops. But Pillow feeds the data in pieces
and reports how many bytes were consumed, which shows the same: after a sound stretch of coded data
the decoder expects a marker, neither earlier nor later. See `docs/adr/0026`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from saliency.errors import ImageDecodeError

MAX_SCANS = 100
"""Most passes over a progressive JPEG; encoders write about ten."""

MAX_STRETCHES = 20_000
"""Most stretches of coded data, between markers; with more none is checked."""

DAMAGED = "its JPEG data are damaged, so parts of the picture may be wrong"
UNENDED = "it has no end-of-image marker; the picture itself is whole"

INCOMPLETE = "passes over its picture are missing, so it lacks colour or detail"

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_TEM, _FIRST_RESTART = 0x01, 0xD0
_ALONE = frozenset({_TEM, *range(_FIRST_RESTART, _FIRST_RESTART + 8)})
"""Markers that no length follows: TEM, and the restarts within a scan."""

_END = b"\xff\xd9"
_ONES = b"\xff\x00" * 8
"""64 coded bits, as many as the decoder reads ahead. All ones is not a Huffman code, so they are
not taken for many blocks if data are missing; after a complete stretch they are skipped."""


class Layout(NamedTuple):
    """The positions of the coded data of a JPEG.

    Attributes:
        stretches: Start and end of each, in bytes.
        has_end: Whether the end marker exists.
        has_all: Whether every component and, of a progressive one, every coefficient to its last
            bit is in some scan.
        in_order: Whether the restarts of each scan are numbered one after the other.
    """

    stretches: list[tuple[int, int]]
    has_end: bool
    has_all: bool = True
    in_order: bool = True


class _Coverage:
    """What the scans have brought so far."""

    def __init__(self) -> None:
        self._is_progressive = False
        self._missing: dict[int, set[int]] = {}  # component -> coefficients

    @property
    def is_full(self) -> bool:
        return not any(self._missing.values())

    def add_frame(self, kind: int, header: bytes) -> None:
        """Note the components of a frame."""
        self._is_progressive = kind in _PROGRESSIVE
        wanted = range(64 if self._is_progressive else 1)
        self._missing = {number: set(wanted) for number in header[6::3]}

    def add_scan(self, header: bytes) -> None:
        """Note what a scan completes."""
        if len(header) < 4:
            return
        *_, first, last, bits = header
        done = range(first, last + 1) if self._is_progressive else range(1)
        if not self._is_progressive or bits & 15 == 0:
            for number in header[1 : 1 + 2 * header[0] : 2]:
                self._missing.get(number, set()).difference_update(done)


def find_layout(data: bytes, name: str) -> Layout:
    """Find the coded data up to the end of the first picture.

    Raises:
        ImageDecodeError: There are too many passes: each costs as much as all pixels but needs only
            70 bytes.
    """
    stretches: list[tuple[int, int]] = []
    coverage = _Coverage()
    in_order = True
    scans, restarts, at = 0, 0, 2
    while found := _MARKER.search(data, at):
        kind, at = found[1][0], found.end()
        if kind == _END_OF_IMAGE:
            return Layout(stretches, True, coverage.is_full, in_order)
        if kind not in _ALONE:
            header = data[at + 2 : at + int.from_bytes(data[at : at + 2], "big")]
            at += 2 + len(header)
            if kind in _FRAMES:
                coverage.add_frame(kind, header)
            if kind != _START_OF_SCAN:
                continue
            scans, restarts = scans + 1, 0
            if scans > MAX_SCANS:
                raise ImageDecodeError(
                    f"{name} should be a JPEG of at most {MAX_SCANS} scans. Found more."
                )
            coverage.add_scan(header)
        elif kind != _TEM:
            in_order = in_order and kind == _FIRST_RESTART + restarts % 8
            restarts += 1
        following = _MARKER.search(data, at)
        end = following.start() if following else len(data)
        if len(stretches) <= MAX_STRETCHES:
            stretches.append((at, end))
        at = end
    return Layout(stretches, False, coverage.is_full, in_order)


def load_jpeg(
    image: JpegImageFile,
    data: bytes,
    layout: Layout,
    prepare: Callable[[JpegImageFile], None],
) -> tuple[JpegImageFile, tuple[str, ...]]:
    """Decode a JPEG.

    Args:
        image: The opened file.
        data: Content of the file.
        layout: Layout of the file.
        prepare: Function that chooses a reduced size of an opened file, which may differ from
            `image`.

    Returns:
        The decoded picture, and notes on damage: at most one clause without its subject.

    Raises:
        Exception: Any class of Pillow's: the file cannot be decoded or is truncated.
    """
    prepare(image)
    is_sound = is_ended = None
    if len(layout.stretches) <= MAX_STRETCHES:
        is_sound, is_ended = _decode_and_watch(image, data, layout)
        is_sound = is_sound and layout.in_order
    if is_sound and layout.has_end:
        return image, () if layout.has_all else (INCOMPLETE,)
    whole = is_ended and not layout.has_end
    image = JpegImageFile(BytesIO(data + _END if whole else data))
    prepare(image)
    image.load()
    if is_sound is False:
        return image, (DAMAGED,)
    if not layout.has_all:
        return image, (INCOMPLETE,)
    return image, (UNENDED,) if whole else ()


def _decode_and_watch(
    image: JpegImageFile, data: bytes, layout: Layout
) -> tuple[bool | None, bool | None]:
    """Decode `image` from `data` and return whether it is sound and its last stretch is complete.

    (None, None): the decoder gave up, or this is not a JPEG with Huffman codes.
    """
    image.load_prepare()
    decoder_name, box, _, arguments, *_ = image.tile[0]
    decoder = Image._getdecoder(image.mode, decoder_name, arguments, image.decoderconfig)
    left = b""
    is_done = False

    def feed(piece: bytes) -> int:
        """Feed `piece` to the decoder and return how many bytes it left."""
        nonlocal left, is_done
        if is_done:
            return 0
        taken, error = decoder.decode(left + piece)
        if taken < 0:
            is_done = True
            if error < 0:
                raise OSError(error)
            return 0
        left = (left + piece)[taken:]
        return len(left)

    is_sound = is_ended = True
    at = 0
    try:
        decoder.setimage(image.im, box)
        for start, end in layout.stretches:
            last = max(start, end - (2 if data[end - 2 : end] == _ONES[:2] else 1))
            wait_before_last = feed(data[at:last])
            wait = feed(data[last:end])
            if last > start and not wait_before_last and not wait:
                is_sound = False  # it finished before the last byte
            # Both were skipped in search of a marker, or it still needs data.
            is_ended = (feed(_ONES), feed(b"\0")) == (0, 0)
            is_sound = is_sound and is_ended
            at = end
        feed(_END)
    except OSError:
        return None, None
    finally:
        decoder.cleanup()
    if not is_done:  # rows are missing
        return False, is_ended
    image.tile = []  # so that Pillow considers it loaded
    return is_sound, is_ended
