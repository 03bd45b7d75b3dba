"""Every combination of tags that changes pixels: right to the level, or refused with its reason.

A small writer below makes the files. `tifffile` reads the same samples from them, which shows that
the files are what they say; what the samples mean is written down here once more.
"""

import struct
import zlib
from io import BytesIO
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from PIL import Image

from saliency.errors import ImageDecodeError, ImageTooLargeError
from saliency.images import ImageLimits, read_image

HEIGHT, WIDTH = 21, 37
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
UNSPECIFIED, PREMULTIPLIED, ALPHA = 0, 1, 2
NONE, LZW, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 8, 32773, 32946


class Kind(NamedTuple):
    """What the samples of a file are."""

    photometric: int
    bits: int
    format: int = UNSIGNED
    extras: tuple[int, ...] = ()

    @property
    def colours(self):
        return {RGB: 3, CMYK: 4, YCBCR: 3}.get(self.photometric, 1)

    @property
    def samples(self):
        return self.colours + len(self.extras)


class Storage(NamedTuple):
    """How they lie in it."""

    compression: int = NONE
    big_endian: bool = False
    planar: bool = False
    tiled: bool = False
    reversed_bits: bool = False
    predictor: int = 1
    big_tiff: bool = False


PLAIN = Storage()

KINDS = [
    *(Kind(p, bits) for p in (WHITE_IS_ZERO, BLACK_IS_ZERO) for bits in (1, 2, 4, 8, 16, 32)),
    *(Kind(BLACK_IS_ZERO, bits) for bits in (6, 10, 12, 14, 64)),
    *(Kind(p, b, FLOAT) for p in (WHITE_IS_ZERO, BLACK_IS_ZERO) for b in (16, 32, 64)),
    *(Kind(BLACK_IS_ZERO, b, extras=(e,)) for b in (8, 16) for e in (0, 1, 2)),
    *(Kind(PALETTE, bits) for bits in (1, 2, 4, 8)),
    *(Kind(RGB, bits) for bits in (4, 8, 12, 16, 32)),
    *(Kind(RGB, bits, FLOAT) for bits in (16, 32, 64)),
    *(Kind(RGB, b, extras=(e,)) for b in (8, 16) for e in (0, 1, 2)),
    Kind(RGB, 8, extras=(0, 2)),
    Kind(RGB, 16, extras=(0, 0)),
    *(Kind(CMYK, bits) for bits in (8, 16)),
    *(Kind(CMYK, b, extras=(e,)) for b in (8, 16) for e in (0, 2)),
    Kind(YCBCR, 8),
]


def draw(kind):
    """Levels 0..255 of each sample: ramps and noise."""
    random = np.random.default_rng(kind.samples)
    levels = random.integers(0, 256, (HEIGHT, WIDTH, kind.samples), dtype=np.uint8)
    levels[:8] = np.linspace(0, 255, WIDTH).astype(np.uint8)[:, None]
    if PREMULTIPLIED in kind.extras:  # no colour is brighter than its alpha
        levels[:, :, :-1] = levels[:, :, :-1] * (levels[:, :, -1:] / 255)
    return levels


def to_samples(levels, kind):
    """Return the numbers that a file holds."""
    if kind.format == FLOAT:
        return (levels / 255).astype(f"f{kind.bits // 8}")
    white = 2**kind.bits - 1
    dtype = f"u{max(kind.bits, 8) // 8}" if kind.bits in (8, 16, 32, 64) else "u2"
    if kind.bits == 64:
        return levels.astype(np.uint64) * np.uint64(white // 255)
    return np.round(levels / 255 * white).astype(dtype)


def pack_lzw(data):
    """Code each byte as it is, and start anew before codes grow beyond nine bits."""
    codes = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def pack_packbits(data):
    return b"".join(
        bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128)
    )


PACK = {
    NONE: bytes,
    LZW: pack_lzw,
    DEFLATE: zlib.compress,
    OLD_DEFLATE: zlib.compress,
    PACKBITS: pack_packbits,
}


def to_bytes(block, kind, storage):
    """Return a strip or tile (rows, columns, samples) as its file has it, unpacked."""
    order = ">" if storage.big_endian else "<"
    if kind.bits not in (8, 16, 32, 64):
        rows = block.reshape(len(block), -1)[:, :, None] >> np.arange(kind.bits)[::-1] & 1
        return np.packbits(rows.reshape(len(block), -1).astype(np.uint8), axis=1).tobytes()
    if storage.predictor == 2:
        block = np.diff(block, axis=1, prepend=np.zeros_like(block[:, :1]))
    if storage.predictor == 3:
        size = kind.bits // 8
        planes = block.astype(f">f{size}").reshape(len(block), -1).view(np.uint8)
        planes = planes.reshape(len(block), -1, size).swapaxes(1, 2)
        steps = planes.reshape(len(block), -1, block.shape[2])
        return np.diff(steps, axis=1, prepend=np.zeros_like(steps[:, :1])).tobytes()
    return block.astype(block.dtype.newbyteorder(order)).tobytes()


def write_tiff(samples, kind, storage=PLAIN, more=()):
    """Write one page; `more` are further tags, (number, type, values)."""
    planes = np.split(samples, kind.samples, axis=2) if storage.planar else [samples]
    blocks = []
    for plane in planes:
        if storage.tiled:
            padded = np.pad(plane, ((0, -HEIGHT % 16), (0, -WIDTH % 16), (0, 0)), mode="edge")
            tops, lefts = range(0, HEIGHT, 16), range(0, WIDTH, 16)
            blocks += [padded[y : y + 16, x : x + 16] for y, x in product(tops, lefts)]
        else:
            blocks += [plane[y : y + 5] for y in range(0, HEIGHT, 5)]
    packed = [PACK[storage.compression](to_bytes(block, kind, storage)) for block in blocks]
    if storage.reversed_bits:
        table = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))
        packed = [data.translate(table) for data in packed]
    offset_kind = 16 if storage.big_tiff else 4
    start = 16 if storage.big_tiff else 8
    offsets = np.cumsum([start, *map(len, packed)])[:-1].tolist()
    where, lengths = (324, 325) if storage.tiled else (273, 279)
    tags = [
        (256, 4, [WIDTH]),
        (257, 4, [HEIGHT]),
        (258, 3, [kind.bits] * kind.samples),
        (259, 3, [storage.compression]),
        (262, 3, [kind.photometric]),
        (where, offset_kind, offsets),
        (277, 3, [kind.samples]),
        (lengths, 4, [len(data) for data in packed]),
        (284, 3, [2 if storage.planar else 1]),
        (339, 3, [kind.format] * kind.samples),
        *([(322, 3, [16]), (323, 3, [16])] if storage.tiled else [(278, 3, [5])]),
        *([(338, 3, kind.extras)] if kind.extras else []),
        *([(266, 3, [2])] if storage.reversed_bits else []),
        *([(317, 3, [storage.predictor])] if storage.predictor > 1 else []),
        *([(530, 3, [1, 1])] if kind.photometric == YCBCR else []),
        *([(320, 3, palette_of(kind).T.reshape(-1) * 257)] if kind.photometric == PALETTE else []),
        *more,
    ]
    return assemble(b"".join(packed), [tags], storage)


def assemble(body, pages, storage=PLAIN):
    """Return a file with `body` behind its header and a directory for each of `pages`."""
    order = ">" if storage.big_endian else "<"
    word, count, inline = ("Q", "Q", 8) if storage.big_tiff else ("I", "H", 4)
    formats = {1: "B", 3: "H", 4: "I", 5: "I", 7: "B", 16: "Q"}
    header = (b"MM" if storage.big_endian else b"II") + struct.pack(
        f"{order}HHH" if storage.big_tiff else f"{order}H",
        *((43, 8, 0) if storage.big_tiff else (42,)),
    )
    start = len(header) + inline
    place = start + len(body)
    data = header + struct.pack(f"{order}{word}", place) + body
    for number, tags in enumerate(pages):
        entry_size = 4 + 2 * inline
        size = struct.calcsize(f"={count}") + entry_size * len(tags) + inline
        outside, entries = b"", b""
        for tag, kind, values in sorted(tags, key=lambda entry: entry[0]):
            packed = struct.pack(f"{order}{len(values)}{formats[kind]}", *values)
            items = len(values) // 2 if kind == 5 else len(values)  # of a rational: two numbers
            entries += struct.pack(f"{order}HH{word}", tag, kind, items)
            if len(packed) > inline:
                entries += struct.pack(f"{order}{word}", len(data) + size + len(outside))
                outside += packed
            else:
                entries += packed.ljust(inline, b"\0")
        following = len(data) + size + len(outside) if number + 1 < len(pages) else 0
        data += struct.pack(f"{order}{count}", len(tags)) + entries
        data += struct.pack(f"{order}{word}", following) + outside
    return data


def palette_of(kind):
    return np.random.default_rng(1).integers(0, 256, (2**kind.bits, 3))


def to_expected(samples, kind):
    """Return (H, W, 3) levels, as floats, of the samples that a second reader found."""
    if kind.photometric == PALETTE:
        return palette_of(kind)[samples[:, :, 0].astype(int)].astype(float)
    white = 1 if kind.format == FLOAT else 2**kind.bits - 1
    levels = samples.astype(float) / white * 255
    colours = levels[:, :, : kind.colours]
    match kind.photometric:
        case 0:
            colours = 255 - colours
        case 5:
            colours = (255 - colours[:, :, :3]) * (255 - colours[:, :, 3:]) / 255
        case 6:
            y, cb, cr = np.moveaxis(colours, 2, 0)
            shifts = (1.402 * (cr - 128), -0.344 * (cb - 128) - 0.714 * (cr - 128))
            colours = np.stack([y + shifts[0], y + shifts[1], y + 1.772 * (cb - 128)], axis=2)
    for extra, kind_of_extra in enumerate(kind.extras):
        alpha = levels[:, :, kind.colours + extra, None] / 255
        if kind_of_extra == ALPHA:
            colours = colours * alpha + 255 * (1 - alpha)
        if kind_of_extra == PREMULTIPLIED:
            colours = colours + 255 * (1 - alpha)
    return np.broadcast_to(colours, (HEIGHT, WIDTH, 3)).clip(0, 255)


def read_again(data, storage):
    """Return (H, W, S) samples as `tifffile` reads them."""
    with tifffile.TiffFile(BytesIO(data)) as file:
        samples = file.pages[0].asarray()
    if samples.ndim == 2:
        return samples[:, :, None]
    return np.moveaxis(samples, 0, 2) if storage.planar else samples


def tolerance(kind):
    """Nothing where each level has one number; else what rounding in between may do."""
    mixed = (
        kind.photometric in (CMYK, YCBCR) or PREMULTIPLIED in kind.extras or ALPHA in kind.extras
    )
    return 2.01 if mixed else 1.0 if kind.bits < 8 or kind == Kind(RGB, 12) else 0.51


def name_kind(kind):
    names = {0: "WhiteIsZero", 1: "BlackIsZero", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"}
    numbers = "float" if kind.format == FLOAT else "uint"
    extras = "".join(f"+{('unspecified', 'premultiplied', 'alpha')[e]}" for e in kind.extras)
    return f"{names[kind.photometric]}{extras}-{numbers}{kind.bits}"


@pytest.mark.parametrize(
    "compression",
    [
        NONE,
        *(pytest.param(c, marks=pytest.mark.slow) for c in (LZW, DEFLATE, PACKBITS, OLD_DEFLATE)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS, ids=name_kind)
def test_pixels_are_those_of_a_second_reader(kind, compression):
    samples = to_samples(draw(kind), kind)
    for big_endian, planar, tiled, reversed_bits in product((False, True), repeat=4):
        if planar and kind.samples == 1:
            continue
        storage = Storage(compression, big_endian, planar, tiled, reversed_bits)
        data = write_tiff(samples, kind, storage)
        found = read_again(data, storage)
        np.testing.assert_array_equal(found, samples, err_msg=str(storage))
        np.testing.assert_allclose(
            read_image(data), to_expected(found, kind), atol=tolerance(kind), err_msg=str(storage)
        )


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(
    ("kind", "predictor"),
    [
        *((Kind(p, bits), 2) for p in (BLACK_IS_ZERO, RGB) for bits in (8, 16, 32)),
        (Kind(RGB, 16, extras=(ALPHA,)), 2),
        *((Kind(p, bits, FLOAT), 3) for p in (BLACK_IS_ZERO, RGB) for bits in (16, 32, 64)),
    ],
    ids=str,
)
def test_predictors_are_undone(kind, predictor, big_endian, planar, tiled):
    planar = planar and kind.samples > 1
    storage = Storage(DEFLATE, big_endian, planar, tiled, predictor=predictor)
    samples = to_samples(draw(kind), kind)
    data = write_tiff(samples, kind, storage)
    np.testing.assert_array_equal(read_again(data, storage), samples)
    np.testing.assert_allclose(read_image(data), to_expected(samples, kind), atol=tolerance(kind))


@pytest.mark.parametrize("big_endian", [False, True])
def test_64_bit_files_are_read(big_endian):
    kind, storage = Kind(RGB, 16), Storage(big_endian=big_endian, planar=True, big_tiff=True)
    samples = to_samples(draw(kind), kind)
    data = write_tiff(samples, kind, storage)
    np.testing.assert_array_equal(read_again(data, storage), samples)
    np.testing.assert_array_equal(read_image(data), samples >> 8)


@pytest.mark.parametrize(
    ("kind", "storage", "more", "reason"),
    [
        (Kind(BLACK_IS_ZERO, 16, SIGNED), Storage(), (), "signed or complex"),
        (Kind(BLACK_IS_ZERO, 16, 5), Storage(), (), "signed or complex"),
        (Kind(8, 8, extras=(0, 0)), Storage(), (), "CIELab"),
        (Kind(32803, 16), Storage(), (), "sensor"),
        (Kind(4, 8), Storage(), (), "mask"),
        (Kind(99, 8), Storage(), (), "kind 99"),
        (Kind(CMYK, 8), Storage(), ((332, 3, [2]),), "inks"),
        (Kind(CMYK, 8, extras=(PREMULTIPLIED,)), Storage(), (), "inks are multiplied"),
        (Kind(YCBCR, 8), Storage(), ((532, 5, [v for n in (16, 235) * 3 for v in (n, 1)]),), "YC"),
        (Kind(BLACK_IS_ZERO, 12), Storage(DEFLATE, predictor=2), (), "predictor"),
    ],
    ids=str,
)
def test_what_nobody_knows_for_certain_is_refused_with_its_reason(kind, storage, more, reason):
    samples = np.zeros((HEIGHT, WIDTH, kind.samples), f"u{max(1, kind.bits // 8)}")
    data = write_tiff(samples, kind, storage, more)
    with pytest.raises(ImageDecodeError, match=f"^the given bytes is a TIFF .*{reason}"):
        read_image(data)


def test_samples_of_different_bits_are_refused():
    data = write_tiff(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Kind(RGB, 8))
    mixed = data.replace(struct.pack("<3H", 8, 8, 8), struct.pack("<3H", 5, 6, 5))
    with pytest.raises(ImageDecodeError, match="differ in their bits"):
        read_image(mixed)


def test_missing_strips_are_an_error():
    data = write_tiff(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Kind(RGB, 8))
    short = data.replace(
        struct.pack("<HHII", 257, 4, 1, HEIGHT), struct.pack("<HHII", 257, 4, 1, 90)
    )
    with pytest.raises(ImageDecodeError, match="18 strips or tiles, not 5"):
        read_image(short)


def test_a_palette_of_8_bits_in_16_is_read():
    kind = Kind(PALETTE, 8)
    samples = draw(kind)
    data = write_tiff(samples, kind)
    wide = (palette_of(kind).T.reshape(-1) * 257).astype("<u2").tobytes()
    narrow = palette_of(kind).T.reshape(-1).astype("<u2").tobytes()
    np.testing.assert_array_equal(
        read_image(data.replace(wide, narrow)), palette_of(kind)[samples[:, :, 0]]
    )


def test_more_samples_than_memory_should_hold_are_refused():
    kind = Kind(RGB, 64, FLOAT)
    data = write_tiff(to_samples(draw(kind), kind), kind)
    read_image(data)
    with pytest.raises(ImageTooLargeError, match="unpack to at most"):
        read_image(data, limits=ImageLimits(max_pixels=HEIGHT * WIDTH))


# --- pages -----------------------------------------------------------------------------------


def build_pages(*pages, children=()):
    """A file of flat grey 8x8 pages: (level, further tags); children hang below the first."""
    body = b"".join(bytes([level]) * 64 for level, _ in (*pages, *children))
    directories = []
    for number, (_, more) in enumerate((*pages, *children)):
        plain = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8 + 64 * number, 278: 8, 279: 64}
        directories.append([*((tag, 4, [value]) for tag, value in plain.items()), *more])
    return assemble(body, directories)


THUMBNAIL, MASK = (254, 4, [1]), (254, 4, [4])


@pytest.mark.parametrize(
    ("pages", "level"),
    [
        ([(10, []), (20, [])], 10),
        ([(10, [THUMBNAIL]), (20, [])], 20),
        ([(10, [THUMBNAIL]), (20, [MASK]), (30, [])], 30),
        ([(10, [(255, 3, [2])]), (20, [])], 20),
        ([(10, [THUMBNAIL]), (20, [THUMBNAIL])], 10),
    ],
)
def test_the_first_page_that_is_no_thumbnail_is_read(pages, level):
    assert read_image(build_pages(*pages))[0, 0, 0] == level


def test_a_page_below_a_thumbnail_is_read():
    pages = [(10, [THUMBNAIL, (330, 4, [0xABCDEF])]), (20, [])]
    data = build_pages(*pages)
    chain = data.index(struct.pack("<I", 0xABCDEF))
    second = data.index(struct.pack("<HHII", 256, 4, 1, 8), chain) - 2
    link = data.index(struct.pack("<I", second))  # the first page no longer leads to the second
    data = data.replace(struct.pack("<I", 0xABCDEF), struct.pack("<I", second))
    data = data[:link] + bytes(4) + data[link + 4 :]
    assert read_image(data)[0, 0, 0] == 20


def test_pages_that_go_round_and_round_end():
    data = build_pages((10, [THUMBNAIL]), (20, [THUMBNAIL]))
    first = struct.unpack_from("<I", data, 4)[0]
    data = data[:-4] + struct.pack("<I", first)
    assert read_image(data)[0, 0, 0] == 10


# --- what libtiff reads ----------------------------------------------------------------------


def encode(image, **options):
    file = BytesIO()
    image.save(file, "TIFF", **options)
    return file.getvalue()


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_faxes_are_read(compression):
    bits = draw(Kind(BLACK_IS_ZERO, 8))[:, :, 0] > 127
    data = encode(Image.fromarray(bits), compression=compression)
    np.testing.assert_array_equal(read_image(data)[:, :, 0], bits * np.uint8(255))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_in_tiff_is_read(mode):
    image = Image.new(mode, (64, 48), 90 if mode == "L" else (200, 40, 90))
    expected = np.asarray(image.convert("RGB"))
    data = encode(image, compression="jpeg", quality=95)
    np.testing.assert_allclose(read_image(data), expected, atol=3)


@pytest.mark.parametrize("compression", ["lzma", "zstd"])
def test_other_packings_of_libtiff_are_read(compression):
    image = Image.fromarray(draw(Kind(RGB, 8)))
    try:
        data = encode(image, compression=compression)
    except OSError:
        pytest.skip(f"this libtiff has no {compression}")
    np.testing.assert_array_equal(read_image(data), np.asarray(image))


# --- damaged or ambiguous ----------------------------------------------------------------------


def drop_tag(data, tag, entries=None):
    """Rename a tag of a little-endian file with one page, so that nobody knows it."""
    head = struct.pack("<HHI", tag, 3, entries or 1)
    assert data.count(head) == 1
    return data.replace(head, struct.pack("<HHI", 65000, 3, entries or 1))


@pytest.mark.parametrize("kind", [Kind(BLACK_IS_ZERO, 8), Kind(RGB, 8)], ids=str)
def test_samples_without_a_meaning_are_refused(kind):
    data = write_tiff(to_samples(draw(kind), kind), kind)
    with pytest.raises(ImageDecodeError, match="PhotometricInterpretation"):
        read_image(drop_tag(data, 262))


@pytest.mark.parametrize("extras", [(0,), (0, 0)])
def test_samples_that_no_tag_names_are_refused(extras):
    kind = Kind(BLACK_IS_ZERO, 8, extras=extras)
    data = drop_tag(write_tiff(to_samples(draw(kind), kind), kind), 338, len(extras))
    with pytest.raises(ImageDecodeError, match="samples per pixel and says what 1"):
        read_image(data)


@pytest.mark.parametrize("compression", [NONE, PACKBITS])
def test_a_predictor_that_libtiff_ignores_is_refused(compression):
    kind = Kind(RGB, 8)
    data = write_tiff(to_samples(draw(kind), kind), kind, Storage(compression, predictor=2))
    with pytest.raises(ImageDecodeError, match="predictor"):
        read_image(data)


@pytest.mark.parametrize(("colour_white", "alpha_white"), [(255, 1), (1, 255), (1, 1), (255, 255)])
def test_float_colours_and_alpha_have_scales_of_their_own(colour_white, alpha_white):
    kind = Kind(RGB, 32, FLOAT, extras=(ALPHA,))
    levels = draw(kind)
    levels[:, :, 3] = 255
    scales = np.array([colour_white] * 3 + [alpha_white]) / 255
    data = write_tiff((levels * scales).astype("f4"), kind)
    np.testing.assert_allclose(read_image(data), levels[:, :, :3], atol=1)


def test_floats_without_any_number_are_refused():
    kind = Kind(BLACK_IS_ZERO, 32, FLOAT)
    with pytest.raises(ImageDecodeError, match="only NaN"):
        read_image(write_tiff(np.full((HEIGHT, WIDTH, 1), np.nan, "f4"), kind))


@pytest.mark.parametrize("compression", ["jpeg", "tiff_adobe_deflate"])
def test_damaged_strips_are_refused(compression):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8))
    data = bytearray(encode(image, compression=compression))
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages[0]
        middle = page.dataoffsets[0] + page.databytecounts[0] // 2
    data[middle : middle + 300] = bytes(300)
    with pytest.raises(ImageDecodeError):
        read_image(bytes(data))


@pytest.mark.parametrize("compression", [None, "jpeg"])
def test_an_orientation_in_xmp_turns_once(compression):
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        '"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    image = Image.new("RGB", (64, 48), "white")
    image.paste("black", (0, 0, 32, 48))
    data = encode(image, compression=compression, tiffinfo={700: xmp.encode()})
    np.testing.assert_allclose(
        read_image(data), np.asarray(image.transpose(Image.Transpose.ROTATE_270)), atol=3
    )


@pytest.mark.parametrize("kind", [Kind(BLACK_IS_ZERO, 16), Kind(RGB, 16)], ids=str)
def test_eight_bits_in_the_low_half_of_16_are_refused(kind):
    with pytest.raises(ImageDecodeError, match="hardly any above 255"):
        read_image(write_tiff(draw(kind).astype(np.uint16), kind))


def test_an_alpha_of_16_bits_may_be_small():
    kind = Kind(BLACK_IS_ZERO, 16, extras=(ALPHA,))
    samples = to_samples(draw(kind), kind)
    samples[:, :, 1] = 3
    assert read_image(write_tiff(samples, kind)).min() == 255


def test_inverted_inks_are_refused():
    kind = Kind(CMYK, 8)
    with pytest.raises(ImageDecodeError, match="inverted"):
        read_image(write_tiff(draw(kind), kind, more=((336, 3, [255, 0]),)))


def test_of_pages_that_all_claim_to_be_thumbnails_the_largest_is_read():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for size in (8, 32, 16):
            writer.write(np.full((size, size), size, np.uint8), subfiletype=1)
    assert read_image(file.getvalue()).shape == (32, 32, 3)
