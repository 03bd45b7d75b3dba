"""TIFF: find the page with the picture, and interpret its samples.

Pillow has a list of combinations of tags and reads some of them wrongly. Here libtiff, through
Pillow, only unpacks: each plane of a page is presented to it as rows of bytes. Bits, byte order,
predictors, planes, tiles and colours are put together from the tags. Lossy
compression and faxes are left to libtiff. Files without a certain meaning are refused. See
`docs/adr/0027`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from saliency.errors import ImageDecodeError
from saliency.images.depth import to_8_bits
from saliency.images.jpeg import DAMAGED, find_layout, load_jpeg
from saliency.images.limits import ImageLimits, check_pixels, check_samples

MAX_PAGES = 100
"""Most pages that are searched for one that is not a thumbnail."""

_UNPACKED = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""Compressions without loss: none, LZW, Deflate (two numbers), PackBits, LZMA, Zstandard."""
_PREDICTED = _UNPACKED - {1, 32773}
"""Those to which a predictor applies: libtiff ignores it in others, and some writers do not."""
_DEFLATE = frozenset({8, 32946})
_FAX = frozenset({2, 3, 4})
_JPEG = 7
_LOSSY = frozenset({6, _JPEG, 50001})  # old and new JPEG, WebP

_UNKNOWN = -1
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {
    _WHITE_IS_ZERO: 1,
    _BLACK_IS_ZERO: 1,
    _RGB: 3,
    _PALETTE: 1,
    _SEPARATED: 4,
    _YCBCR: 3,
}
"""PhotometricInterpretation -> number of samples that are not extra ones, for supported kinds."""
_OTHER_COLOURS = {
    _UNKNOWN: "without PhotometricInterpretation, so their meaning is unknown",
    4: "a transparency mask",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "raw data of a camera's sensor",
    32844: "LogL",
    32845: "LogLuv",
    34892: "raw data of a camera",
}

_KINDS = {1: "u", 3: "f", 4: "u"}
"""SampleFormat -> kind of number; signed and complex ones have no known white."""
_SIZES = {"u": (8, 16, 32, 64), "f": (16, 32, 64)}

_PREMULTIPLIED, _ALPHA = 1, 2
"""Values of ExtraSamples for opacity."""

_ORIENTATION = 274
_ABOUT = (270, 271, 272, 306, 315, 33432)
"""Tags that EXIF shares with TIFF: description, make, model, date, artist, copyright."""

_HEADER_BYTES = 16
"""Length of the header of 64-bit TIFF."""

_PIECE_BYTES = 2**20
"""Most bytes that are unpacked at once to compare a checksum."""


class TiffReader(TiffImageFile):
    """TIFF without Pillow's own pixel limit, which would warn or raise while it decodes."""

    def load_prepare(self) -> None:
        """Make room for the pixels."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()


class _RefusedError(Exception):
    """The reason why a page is not read."""


def read_tiff(data: bytes, name: str, limits: ImageLimits) -> Image.Image:
    """Decode the first page that is neither a thumbnail nor a mask.

    Args:
        data: Content of the file.
        name: Name for messages.
        limits: Largest picture to accept.

    Returns:
        The page with eight bits and any mode, not yet turned, with its orientation and profile.

    Raises:
        ImageDecodeError: The page is of an unsupported kind.
        ImageTooLargeError: It is too large.
        Exception: Any class of Pillow's: the file is damaged.
    """
    number, tags = _choose_page(data)
    page = _Page(tags)
    check_pixels((page.height, page.width), name, limits)
    orientation = tags.get(_ORIENTATION)
    try:
        if page.compression in _UNPACKED:
            page.check()
            check_samples(page.height * page.width * page.bytes_per_pixel, name, limits)
            image = _to_image(page, _read_samples(data, page), name)
        else:
            image = _load_with_pillow(data, number, page)
            orientation = 1  # Pillow turns it, by XMP too
    except _RefusedError as reason:
        raise ImageDecodeError(f"{name} is a TIFF of a kind that is not read: {reason}.") from None
    for key, tag in (("icc_profile", 34675), ("xmp", 700)):
        if isinstance(value := tags.get(tag), bytes):
            image.info[key] = value
    exif = image.getexif()
    exif.update({tag: tags[tag] for tag in _ABOUT if tag in tags})
    if orientation is not None:
        exif[_ORIENTATION] = orientation
    return image


def _choose_page(data: bytes) -> tuple[int | None, ImageFileDirectory_v2]:
    """Return a page's number and tags; the number is None for one below another page."""
    pages = list(list_pages(data))
    whole = [page for page in pages if not _is_lesser(page[1])]
    if whole:
        return whole[0]
    # In DNG and similar files the thumbnail comes first, and the picture is one of its children.
    for offset in _numbers(pages[0][1], 330)[:MAX_PAGES]:
        child = read_directory(data, int(offset))
        if not _is_lesser(child):
            return None, child
    return max(pages, key=lambda page: _one(page[1], 256, 0) * _one(page[1], 257, 0))


def _is_lesser(tags: ImageFileDirectory_v2) -> bool:
    """Return whether a page is a thumbnail or a mask: NewSubfileType, or the older SubfileType."""
    return bool(int(tags.get(254, 0)) & 5) or tags.get(255, 1) == 2


def list_pages(data: bytes) -> Iterator[tuple[int, ImageFileDirectory_v2]]:
    """Yield the number and the tags of each page, at most `MAX_PAGES`; EXIF is a TIFF as well."""
    order = "<" if data.startswith(b"II") else ">"
    place = (f"{order}Q", 8) if _is_64_bit(data) else (f"{order}I", 4)
    [offset] = struct.unpack_from(place[0], data, place[1])
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MAX_PAGES:
        seen.add(offset)
        tags = read_directory(data, offset)
        yield len(seen) - 1, tags
        offset = tags.next
    if not seen:
        raise ValueError("it has no page")


def read_directory(data: bytes, offset: int) -> ImageFileDirectory_v2:
    """Return the tags at an offset of a TIFF."""
    tags = ImageFileDirectory_v2(data[:8] if data[2] != 43 else data[:_HEADER_BYTES])
    tags._bigtiff = _is_64_bit(data)  # Pillow detects it only in little-endian files
    file = BytesIO(data)
    file.seek(offset)
    tags.load(file)
    return tags


def _is_64_bit(data: bytes) -> bool:
    return 43 in data[2:4]


def _numbers(tags: ImageFileDirectory_v2, tag: int, default: tuple[float, ...] = ()) -> list[Any]:
    value = tags.get(tag, default)
    return list(value) if isinstance(value, tuple | list) else [value]


def _one(tags: ImageFileDirectory_v2, tag: int, default: int) -> int:
    return int(_numbers(tags, tag, (default,))[0])


class _Page:
    """The tags of a page that determine how its bytes become a picture."""

    def __init__(self, tags: ImageFileDirectory_v2) -> None:
        if 256 not in tags or 257 not in tags:
            raise ValueError("a page has no size")
        self.tags = tags
        self.width, self.height = _one(tags, 256, 0), _one(tags, 257, 0)
        if min(self.width, self.height) < 1:
            raise ValueError("a page has no pixels")
        self.compression = _one(tags, 259, 1)
        default = _WHITE_IS_ZERO if self.compression in _FAX else _UNKNOWN
        self.photometric = _one(tags, 262, default)
        self.samples = _one(tags, 277, 1)
        self.is_planar = _one(tags, 284, 1) == 2 and self.samples > 1
        self.predictor = _one(tags, 317, 1)
        bits = set(_numbers(tags, 258, (1,))[: max(self.samples, 1)])
        formats = set(_numbers(tags, 339, (1,))[: max(self.samples, 1)])
        self.bits = bits.pop() if len(bits) == 1 else 0  # 0: they differ
        self.format = formats.pop() if len(formats) == 1 else 0
        self.kind = _KINDS.get(self.format, "")
        self.is_tiled = 322 in tags
        if self.is_tiled:
            self.block = _one(tags, 323, 0), _one(tags, 322, 0)
        else:
            self.block = min(_one(tags, 278, self.height), self.height), self.width
        if min(self.block) < 1 or max(self.block) > 2**20:
            raise ValueError("its strips or tiles have no sensible size")
        self.down = -(-self.height // self.block[0])
        self.across = -(-self.width // self.block[1])

    @property
    def is_whole_bytes(self) -> bool:
        """Whether each sample is a number of a common type."""
        return self.bits in _SIZES[self.kind]

    @property
    def bytes_per_pixel(self) -> int:
        """Number of bytes of a pixel's unpacked samples."""
        return self.samples * max(1, self.bits // 8 if self.is_whole_bytes else 2)

    @property
    def row_bytes(self) -> int:
        """Number of bytes of a row of a strip or tile of one plane."""
        return -(-self.block[1] * (1 if self.is_planar else self.samples) * self.bits // 8)

    def check(self) -> None:
        """Refuse pages whose meaning is not certain."""
        colours = _COLOURS.get(self.photometric)
        if colours is None:
            other = _OTHER_COLOURS.get(self.photometric, f"colours of kind {self.photometric}")
            raise _RefusedError(f"its pixels are {other}")
        if not self.bits or not self.format:
            raise _RefusedError("its samples differ in their bits or format")
        if not self.kind:
            raise _RefusedError("its samples are signed or complex numbers")
        if not (self.is_whole_bytes or (self.kind == "u" and 1 <= self.bits < 16)):
            raise _RefusedError(f"its samples are {self.format_name} of {self.bits} bits")
        if self.photometric == _SEPARATED and _one(self.tags, 332, 1) != 1:
            raise _RefusedError("its inks are others than CMYK")
        dots = _numbers(self.tags, 336, (0, 1))
        if self.photometric == _SEPARATED and dots[0] > dots[1]:
            raise _RefusedError("its inks are inverted")
        if self.photometric == _YCBCR and not self._is_plain_ycbcr:
            raise _RefusedError("its YCbCr colours are subsampled, or others than JPEG's")
        if self.photometric == _PALETTE and (self.kind != "u" or self.bits > 16):
            raise _RefusedError(f"its palette is indexed by {self.format_name} of {self.bits} bits")
        if self.samples < colours:
            raise _RefusedError(
                f"it has {self.samples} samples per pixel where {colours} are needed"
            )
        named = colours + max(len(_numbers(self.tags, 338)), self.photometric == _RGB)
        if self.samples > named:
            raise _RefusedError(
                f"it has {self.samples} samples per pixel and says what {named} are"
            )
        is_predicted = self.compression in _PREDICTED
        known = {
            1: True,
            2: is_predicted and self.kind == "u" and self.is_whole_bytes,
            3: is_predicted and self.kind == "f",
        }
        if not known.get(self.predictor, False):
            raise _RefusedError(
                f"its predictor is {self.predictor}, which does not fit the other tags"
            )

    @property
    def _is_plain_ycbcr(self) -> bool:
        """Whether its colours are YCbCr with a pair for each pixel."""
        subsampling = _numbers(self.tags, 530, (2, 2))
        coefficients = [float(value) for value in _numbers(self.tags, 529, (0.299, 0.587, 0.114))]
        ends = [float(value) for value in _numbers(self.tags, 532, (0, 255, 128, 255, 128, 255))]
        return (
            (self.kind, self.bits, self.samples) == ("u", 8, 3)
            and subsampling == [1, 1]
            and np.allclose(coefficients, (0.299, 0.587, 0.114), atol=1e-3)
            and ends == [0, 255, 128, 255, 128, 255]
        )

    @property
    def format_name(self) -> str:
        """Description of its numbers, for people."""
        return "floats" if self.kind == "f" else "integers"


def _read_samples(data: bytes, page: _Page) -> NDArray[Any]:
    """Return (H, W, S) samples, with the page's own bits in the next larger type."""
    planes = [
        _decode_plane(rows, page, 1 if page.is_planar else page.samples)
        for rows in _unpack(data, page)
    ]
    return np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]


def _unpack(data: bytes, page: _Page) -> Iterator[NDArray[np.uint8]]:
    """Yield the bytes of each plane: (rows, bytes), with its blocks beside each other.

    For each plane a page of grey bytes is presented, with the strips or tiles of the file.
    """
    offsets, counts = (324, 325) if page.is_tiled else (273, 279)
    starts, lengths = _numbers(page.tags, offsets), _numbers(page.tags, counts)
    blocks = page.down * page.across
    planes = page.samples if page.is_planar else 1
    if len(starts) != blocks * planes or (lengths and len(lengths) != len(starts)):
        raise ValueError(f"it should have {blocks * planes} strips or tiles, not {len(starts)}")
    if page.compression in _DEFLATE and _one(page.tags, 266, 1) == 1:
        _check_sums(data, starts, lengths)
    rows = page.down * page.block[0] if page.is_tiled else page.height
    row_bytes = page.row_bytes
    for plane in range(planes):
        own = slice(plane * blocks, (plane + 1) * blocks)
        size = {322: row_bytes, 323: page.block[0]} if page.is_tiled else {278: page.block[0]}
        tags = {
            256: row_bytes * page.across,
            257: rows,
            258: 8,
            259: page.compression,
            262: _BLACK_IS_ZERO,
            266: _one(page.tags, 266, 1),
            277: 1,
            **size,
        }
        made_up = _append_page(data, tags, {offsets: starts[own], counts: lengths[own]})
        with TiffReader(BytesIO(made_up)) as image:
            yield np.asarray(image)


def _check_sums(data: bytes, starts: list[int], lengths: list[int]) -> None:
    """Refuse damaged Deflate data: libtiff stops before the checksum at their end.

    Raises:
        zlib.error: A strip or tile is damaged.
    """
    for start, length in zip(starts, lengths, strict=False):
        inflater = zlib.decompressobj()
        packed = data[start : start + length]
        while packed and not inflater.eof:
            inflater.decompress(packed, _PIECE_BYTES)
            packed = inflater.unconsumed_tail


def _append_page(data: bytes, tags: dict[int, int], lists: dict[int, list[int]]) -> bytes:
    """Return a 64-bit TIFF of one page, whose strips or tiles are in `data` after its header.

    Args:
        data: Content of the file.
        tags: Tags of the page, each a number.
        lists: Its tags of offsets in `data` and of lengths.
    """
    entries = [(tag, 4, 1, struct.pack("<Q", value)) for tag, value in tags.items()]
    added = b""
    for tag, values in lists.items():
        if values:
            moved = _HEADER_BYTES if tag in (273, 324) else 0
            packed = struct.pack(f"<{len(values)}Q", *(int(value) + moved for value in values))
            where = struct.pack("<Q", _HEADER_BYTES + len(data) + len(added))
            entries.append((tag, 16, len(values), packed if len(values) == 1 else where))
            added += b"" if len(values) == 1 else packed
    directory = struct.pack("<Q", len(entries)) + b"".join(
        struct.pack("<HHQ", tag, kind, count) + value for tag, kind, count, value in sorted(entries)
    )
    header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, _HEADER_BYTES + len(data) + len(added))
    return header + data + added + directory + bytes(8)


def _decode_plane(rows: NDArray[np.uint8], page: _Page, samples: int) -> NDArray[Any]:
    """Return (H, W, samples) of the bytes (rows, bytes) of a plane."""
    width = page.block[1]
    blocks = rows.reshape(len(rows), page.across, page.row_bytes)
    if not page.is_whole_bytes:
        numbers: NDArray[Any] = _unpack_bits(blocks, width * samples, page.bits)
    elif page.predictor == 3:
        numbers = _undo_float_predictor(blocks, samples, page.bits // 8)
    else:
        order = "<" if page.tags.prefix == b"II" else ">"
        numbers = blocks.view(f"{order}{page.kind}{page.bits // 8}")
    numbers = numbers.reshape(len(rows), page.across, width, samples)
    if page.predictor == 2:
        numbers = np.cumsum(numbers, axis=2, dtype=numbers.dtype.newbyteorder("="))
    whole = numbers.reshape(len(rows), page.across * width, samples)
    return whole[: page.height, : page.width]


def _unpack_bits(blocks: NDArray[np.uint8], count: int, bits: int) -> NDArray[Any]:
    """Return (rows, across, count) numbers of `bits` bits, the first in the highest bits."""
    first = np.arange(count) * bits
    byte, shift = first // 8, (24 - bits - first % 8).astype(np.uint32)
    numbers = np.empty((*blocks.shape[:2], count), np.uint8 if bits <= 8 else np.uint16)
    for row, packed in enumerate(blocks):  # one at a time: 32 bits per sample would fill the memory
        padded = np.pad(packed, ((0, 0), (0, 2))).astype(np.uint32)
        words = padded[:, byte] << 16 | padded[:, byte + 1] << 8 | padded[:, byte + 2]
        numbers[row] = words >> shift & (2**bits - 1)
    return numbers


def _undo_float_predictor(blocks: NDArray[np.uint8], samples: int, item_bytes: int) -> NDArray[Any]:
    """Return floats whose bytes, the highest of all first, were stored as differences."""
    rows, across, length = blocks.shape
    steps = blocks.reshape(rows, across, length // samples, samples)
    in_planes = np.cumsum(steps, axis=2, dtype=np.uint8).reshape(rows, across, item_bytes, -1)
    return np.ascontiguousarray(in_planes.swapaxes(2, 3)).view(f">f{item_bytes}")


def _to_image(page: _Page, samples: NDArray[Any], name: str) -> Image.Image:
    """Return an eight-bit picture from (H, W, S) samples."""
    colours = _COLOURS[page.photometric]
    extras = _numbers(page.tags, 338)
    if not extras and page.photometric == _RGB and page.samples == colours + 1:
        extras = [_ALPHA]  # as Pillow reads files without the tag
    opacity = next((n for n, kind in enumerate(extras) if kind in (_PREMULTIPLIED, _ALPHA)), None)
    if opacity is not None and colours + opacity >= page.samples:
        opacity = None
    picked = samples[:, :, :colours]
    if opacity is not None and page.photometric != _PALETTE:
        picked = samples[:, :, [*range(colours), colours + opacity]]
    if page.photometric == _PALETTE:
        looked_up = _look_up(page, picked[:, :, 0])
        if opacity is None:
            return Image.fromarray(looked_up)
        alpha = samples[:, :, colours + opacity].astype(np.float64) * 255 / (2**page.bits - 1)
        levels = np.dstack([looked_up, (alpha + 0.5).astype(np.uint8)])
        return _with_alpha(levels, is_premultiplied=extras[opacity] == _PREMULTIPLIED)
    if opacity is None:
        levels = _fill_8_bits(page, picked, name)
    else:  # apart, because floats may have colours 0..255 and alpha 0..1
        parts = picked[:, :, :colours], picked[:, :, colours:]
        levels = np.dstack(
            [_fill_8_bits(page, part, name, is_alpha=n == 1) for n, part in enumerate(parts)]
        )
    if page.photometric == _WHITE_IS_ZERO:
        if opacity is not None and extras[opacity] == _PREMULTIPLIED:
            raise _RefusedError("its inverted grey is multiplied by an alpha channel")
        levels[:, :, 0] = 255 - levels[:, :, 0]
    if opacity is None:
        if colours == 1:
            return Image.fromarray(levels[:, :, 0])
        if page.photometric == _RGB:
            return Image.fromarray(levels)
        mode = "CMYK" if page.photometric == _SEPARATED else "YCbCr"
        return Image.frombytes(mode, (page.width, page.height), levels.tobytes())
    return _with_alpha(levels, is_premultiplied=extras[opacity] == _PREMULTIPLIED)


def _fill_8_bits(
    page: _Page, samples: NDArray[Any], name: str, *, is_alpha: bool = False
) -> NDArray[np.uint8]:
    """Return (H, W, S) samples with eight bits."""
    if page.is_whole_bytes:
        native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        if native.shape[2] < 3:  # grey, and its alpha, are rounded
            greys = [
                to_8_bits(native[:, :, n], name, is_alpha=is_alpha) for n in range(native.shape[2])
            ]
            return np.stack(greys, axis=2)
        return np.array(to_8_bits(native, name))
    white = 2**page.bits - 1
    table = ((np.arange(white + 1) * 255 + white // 2) // white).astype(np.uint8)
    return np.asarray(table[samples])


def _look_up(page: _Page, indices: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (H, W, 3) colours from a palette."""
    values = np.array(_numbers(page.tags, 320), np.uint32)
    if len(values) != 3 * 2**page.bits:
        raise ValueError(f"its palette should have {3 * 2**page.bits} numbers, not {len(values)}")
    # Some writers store eight-bit numbers in the 16 bits.
    palette = (values if values.max(initial=0) < 256 else values >> 8).astype(np.uint8)
    return np.asarray(palette.reshape(3, -1).T[indices])


def _with_alpha(levels: NDArray[np.uint8], *, is_premultiplied: bool) -> Image.Image:
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(levels, 2, 0)]
    *colours, alpha = bands
    if len(colours) == 4:
        if is_premultiplied:
            raise _RefusedError("its inks are multiplied by an alpha channel")
        picture = Image.merge("CMYK", colours).convert("RGB")
        picture.putalpha(alpha)
        return picture
    mode = {1: "LA", 3: "RGBA"}[len(colours)]
    if not is_premultiplied:
        return Image.merge(mode, bands)
    return Image.merge("RGBa", [*(colours * 3)[:3], alpha]).convert("RGBA")


def _load_with_pillow(data: bytes, number: int | None, page: _Page) -> Image.Image:
    """Return faxes and lossy pictures as libtiff decodes them."""
    is_fax = page.compression in _FAX and page.bits == 1 and page.samples == 1
    is_lossy = page.compression in _LOSSY and page.bits == 8 and page.format == 1
    known = {_BLACK_IS_ZERO: 1, _RGB: 3, _YCBCR: 3}
    if number is None or page.is_planar:
        raise _RefusedError("its pixels are packed with loss, in planes or below another page")
    if not (
        (is_fax and page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO))
        or (is_lossy and known.get(page.photometric) == page.samples)
    ):
        raise _RefusedError(
            f"compression {page.compression} of {page.samples} samples of {page.bits} bits, "
            f"PhotometricInterpretation {page.photometric}"
        )
    if page.compression == _JPEG:
        _check_jpegs(data, page)
    image = TiffReader(BytesIO(data))
    image.seek(number)
    image.load()
    return Image.fromarray(np.asarray(image.convert("RGB")))


def _check_jpegs(data: bytes, page: _Page) -> None:
    """Refuse damaged JPEG data: libtiff decodes them with a warning that Pillow drops."""
    tables = page.tags.get(347, b"")
    offsets, counts = (324, 325) if page.is_tiled else (273, 279)
    starts, lengths = _numbers(page.tags, offsets), _numbers(page.tags, counts)
    for start, length in zip(starts, lengths, strict=False):
        part = data[start : start + length]
        whole = tables.removesuffix(b"\xff\xd9") + part[2:] if tables else part
        opened = JpegImageFile(BytesIO(whole))
        _, notes = load_jpeg(opened, whole, find_layout(whole, "a strip or tile"), lambda _: None)
        if DAMAGED in notes:
            raise _RefusedError(DAMAGED)
