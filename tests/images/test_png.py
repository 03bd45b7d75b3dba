"""Other chunks of a PNG do no harm, and transparent levels count."""

import struct
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from saliency.errors import ImageDecodeError
from saliency.images import png, read_image, read_reduced

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def build(samples, bits, *chunks):
    """Write (H, W) or (H, W, 3) samples of 1 to 16 bits."""
    height, width = samples.shape[:2]
    colour = GREY if samples.ndim == 2 else RGB
    if bits == 16:
        rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    elif bits == 8:
        rows = samples.astype(np.uint8).reshape(height, -1)
    else:
        shifts = np.arange(bits)[::-1]
        rows = np.packbits(
            (samples[:, :, None] >> shifts & 1).astype(np.uint8).reshape(height, -1), 1
        )
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    picture = (*chunks, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b""))
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(picture)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_level_of_grey_is_white(bits):
    white = 2**bits - 1
    samples = np.array([[0, white], [white, 0]])
    image = read_image(build(samples, bits, chunk(b"tRNS", struct.pack(">H", 0))))
    assert image[:, :, 0].tolist() == [[255, 255], [255, 255]]
    image = read_image(build(samples, bits, chunk(b"tRNS", struct.pack(">H", white))))
    assert image[:, :, 0].tolist() == [[0, 255], [255, 0]]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_is_white(bits):
    scale = 1 if bits == 8 else 257
    samples = np.array([[[10, 20, 30], [10, 20, 31]]]) * scale
    data = build(samples, bits, chunk(b"tRNS", struct.pack(">3H", *samples[0, 0])))
    assert read_image(data).tolist() == [[[255, 255, 255], [10, 20, 31]]]


@pytest.mark.parametrize("colour", [GREY, RGB])
def test_a_level_that_differs_in_its_low_byte_alone_is_not_transparent(colour):
    samples = np.full((1, 2) if colour == GREY else (1, 2, 3), 0x4000)
    samples[0, 1] += 5
    level = struct.pack(">H", 0x4000) * (1 if colour == GREY else 3)
    image = read_image(build(samples, 16, chunk(b"tRNS", level)))
    assert image[0, :, 0].tolist() == [255, 64]


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt"])
def test_text_of_any_size_is_passed_over_unread(name):
    size = 80_000_000 if name != b"tEXt" else 3_000_000
    body = b"comment\0\0" if name == b"zTXt" else b"comment\0" + b"\1\0\0\0" * (name == b"iTXt")
    body += b"a" * size if name == b"tEXt" else zlib.compress(b"a" * size)
    data = build(np.full((4, 4), 7), 8, chunk(name, body))
    tracemalloc.start()
    try:
        assert read_image(data)[0, 0, 0] == 7
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_text_behind_the_pixels_is_passed_over():
    data = build(np.full((4, 4), 7), 8)
    end = data.rindex(b"IEND") - 4
    late = chunk(b"tEXt", b"comment\0" + b"a" * 2_000_000)
    assert read_image(data[:end] + late + data[end:])[0, 0, 0] == 7


def test_a_large_profile_is_used(profiles):
    profile = profiles.build("display_p3")
    profile += np.random.default_rng(0).bytes(2_000_000)
    image = Image.new("RGB", (4, 4), (200, 40, 90))
    large, small = BytesIO(), BytesIO()
    image.save(large, "PNG", icc_profile=profile)
    image.save(small, "PNG", icc_profile=profiles.build("display_p3"))
    photo = read_reduced(large.getvalue(), lambda size: size)
    assert photo.notes == ()
    np.testing.assert_array_equal(photo.pixels, read_image(small.getvalue()))
    assert not np.array_equal(photo.pixels, np.asarray(image))


def test_an_endless_profile_is_ignored_with_a_note():
    body = b"name\0\0" + zlib.compress(bytes(100_000_000))
    data = build(np.full((4, 4, 3), 7), 8, chunk(b"iCCP", body))
    tracemalloc.start()
    try:
        photo = read_reduced(data, lambda size: size)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert photo.pixels[0, 0, 0] == 7
    assert photo.notes == (
        "its colour profile is ignored: it is damaged, or littleCMS cannot use it",
    )


def test_colours_named_by_a_number_are_noted():
    pq = chunk(b"cICP", bytes([9, 16, 0, 1]))
    [note] = read_reduced(build(np.full((4, 4, 3), 7), 8, pq), lambda size: size).notes
    assert "cICP" in note
    srgb = chunk(b"cICP", bytes([1, 13, 0, 1]))
    assert read_reduced(build(np.full((4, 4, 3), 7), 8, srgb), lambda size: size).notes == ()


def test_xmp_orientation_counts_where_exif_has_none():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", 'tiff:Orientation="6"', zip=True)
    file = BytesIO()
    Image.new("L", (5, 3)).save(file, "PNG", pnginfo=info)
    assert read_image(file.getvalue()).shape == (5, 3, 3)


def test_the_picture_of_an_animated_png_is_read():
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    file = BytesIO()
    first.save(file, "PNG", save_all=True, append_images=[second])
    assert read_image(file.getvalue())[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_rows_that_are_missing_are_an_error(shape, bits):
    if bits == 1 and len(shape) == 3:
        pytest.skip("PNG has no such colour")
    samples = np.full(shape, 2**bits - 1, np.uint16)
    samples[10:] = 0
    assert read_image(build(samples, bits))[-1].max() == 0  # black rows are no missing rows
    data = build(samples[:10], bits)
    header = data[16:20] + struct.pack(">I", 20) + data[24:29]
    data = SIGNATURE + chunk(b"IHDR", header) + data[33:]
    with pytest.raises(ImageDecodeError, match="rows are missing"):
        read_image(data)


@pytest.mark.parametrize("height", [13, 14])
@pytest.mark.parametrize("width", [1, 3, 30])
def test_an_interlaced_picture_may_be_black(height, width):
    sizes = [
        (-(-(height - y) // down), -(-(width - x) // across)) for x, y, across, down in png._ADAM7
    ]
    rows = b"".join(bytes(rows * (1 + 3 * columns)) for rows, columns in sizes if columns > 0)
    for data, is_whole in ((rows, True), (rows[:-1], False)):
        header = struct.pack(">IIBBBBB", width, height, 8, RGB, 0, 0, 1)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
        file = SIGNATURE + b"".join(chunk(*part) for part in parts)
        if is_whole:
            assert read_image(file).shape == (height, width, 3)
        else:
            with pytest.raises(ImageDecodeError):
                read_image(file)


@pytest.mark.parametrize(
    ("chunks", "is_noted"),
    [
        ([(b"gAMA", struct.pack(">I", 100000))], True),
        ([(b"gAMA", struct.pack(">I", 45455))], False),
        ([(b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\0")], False),
    ],
)
def test_a_gamma_that_is_not_applied_has_a_note(chunks, is_noted):
    data = build(np.full((4, 4), 99), 8, *(chunk(*each) for each in chunks))
    notes = read_reduced(data, lambda size: size).notes
    assert ("gAMA" in " ".join(notes)) == is_noted


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 3)])
def test_eight_bits_in_the_low_half_of_16_are_refused(shape):
    with pytest.raises(ImageDecodeError, match="hardly any above 255"):
        read_image(build(np.full(shape, 200), 16))
    assert read_image(build(np.zeros(shape), 16)).max() == 0  # black is black
