"""Every kind of photo comes out upright and RGB; everything else is one error that names it."""

import struct
import sys
import tracemalloc
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from saliency.errors import ImageDecodeError, ImageError, ImageTooLargeError
from saliency.images import ImageLimits, read_image, read_reduced

ORIENTATION = 0x0112
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)

# How a viewer's upright picture was turned before it was stored under each EXIF orientation.
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int = 24, width: int = 40) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blocks() -> NDArray[np.uint8]:
    """Six flat squares that look different in every orientation."""
    rows = [[RED, GREEN, GREEN], [BLUE, WHITE, RED]]
    return np.kron(np.array(rows, np.uint8), np.ones((16, 16, 1), np.uint8))


def assert_same_blocks(image: NDArray[np.uint8]) -> None:
    """Compare the squares' centres: lossy formats smear their edges."""
    assert image.shape == blocks().shape
    np.testing.assert_allclose(image[8::16, 8::16], blocks()[8::16, 8::16], atol=30)


def with_orientation(orientation: int) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return Image.fromarray(np.ascontiguousarray(STORED[orientation](blocks()))), exif


def png(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """Write what Pillow cannot: 16-bit colour, and headers that lie."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + extra.join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


# --- sources ---------------------------------------------------------------------------------


@pytest.mark.parametrize("to_source", [str, Path, Path.read_bytes, Image.open, read_image])
def test_every_kind_of_source_gives_the_same_pixels(to_source, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encode(Image.fromarray(noise()), "PNG"))
    source = to_source(path)
    np.testing.assert_array_equal(read_image(source), noise())
    if isinstance(source, Image.Image):
        source.close()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_lossless_formats_keep_every_pixel(kind):
    data = encode(Image.fromarray(noise()), kind, lossless=True)
    np.testing.assert_array_equal(read_image(data), noise())


def test_the_bytes_decide_not_the_suffix(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encode(Image.fromarray(noise()), "PNG"))
    np.testing.assert_array_equal(read_image(path), noise())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_result_can_be_written_to(kind):
    image = read_image(encode(Image.fromarray(noise()), kind))
    assert image.flags.writeable


def test_a_flipped_array_becomes_contiguous():
    assert read_image(noise()[:, ::-1]).flags.c_contiguous


def test_a_contiguous_array_is_not_copied():
    array = noise()
    assert read_image(array) is array


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((0, 5, 3), np.uint8),
    ],
)
def test_any_other_array_is_refused_with_what_was_found(array):
    with pytest.raises(ImageError) as caught:
        read_image(array)
    assert f"Found {array.shape} {array.dtype}" in str(caught.value)


def test_a_source_of_another_type_is_named():
    with pytest.raises(ImageError, match="Found list"):
        read_image([1, 2, 3])


# --- upright ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(orientation, kind):
    stored, exif = with_orientation(orientation)
    image = read_image(encode(stored, kind, exif=exif))
    assert_same_blocks(image)


# --- reduced ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needed", "read"),
    [((320, 480), (320, 480)), ((160, 240), (160, 240)), ((41, 60), (80, 120)), ((1, 1), (40, 60))],
)
def test_a_jpeg_comes_in_the_fewest_pixels_that_are_enough(needed, read):
    data = encode(Image.fromarray(noise(320, 480)), "JPEG")
    photo = read_reduced(data, lambda _: needed)
    assert photo.pixels.shape == (*read, 3)
    assert photo.size == (320, 480)


def test_a_reduced_jpeg_looks_the_same():
    data = encode(Image.fromarray(blocks()).resize((480, 320), Image.Resampling.NEAREST), "JPEG")
    photo = read_reduced(data, lambda _: (80, 120))
    squares = photo.pixels.reshape(2, 40, 3, 40, 3)[:, 20, :, 20]
    np.testing.assert_allclose(squares, blocks()[8::16, 8::16], atol=30)


@pytest.mark.parametrize("orientation", STORED)
def test_a_reduced_jpeg_is_upright_and_so_are_its_sizes(orientation):
    stored, exif = with_orientation(orientation)
    large = stored.resize((stored.width * 5, stored.height * 5), Image.Resampling.NEAREST)
    asked = []

    def half(size: tuple[int, int]) -> tuple[int, int]:
        asked.append(size)
        return size[0] // 2, size[1] // 2

    photo = read_reduced(encode(large, "JPEG", exif=exif, quality=100), half)
    assert asked == [(160, 240)]
    assert photo.size == (160, 240)
    assert photo.pixels.shape == (80, 120, 3)
    squares = photo.pixels.reshape(2, 40, 3, 40, 3)[:, 20, :, 20]
    np.testing.assert_allclose(squares, blocks()[8::16, 8::16], atol=30)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_other_formats_come_whole(kind):
    photo = read_reduced(encode(Image.fromarray(noise(320, 480)), kind), lambda _: (1, 1))
    assert photo.pixels.shape == (*photo.size, 3) == (320, 480, 3)


def test_the_limit_is_of_the_whole_photo():
    data = encode(Image.fromarray(noise(320, 480)), "JPEG")
    with pytest.raises(ImageTooLargeError):
        read_reduced(data, lambda _: (1, 1), limits=ImageLimits(max_pixels=320 * 480 - 1))


def test_a_truncated_jpeg_is_an_error_when_reduced_too():
    data = encode(Image.fromarray(noise(320, 480)), "JPEG")
    with pytest.raises(ImageDecodeError):
        read_reduced(data[: len(data) // 2], lambda _: (1, 1))


# --- upright, from other sources -------------------------------------------------------------


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_of_several_pages_is_turned_once(compression):
    stored, exif = with_orientation(6)
    data = encode(
        stored, "TIFF", exif=exif, save_all=True, append_images=[stored], compression=compression
    )
    np.testing.assert_array_equal(read_image(data), blocks())


def test_orientation_of_a_pil_image_is_applied():
    stored, exif = with_orientation(6)
    with Image.open(BytesIO(encode(stored, "PNG", exif=exif))) as opened:
        np.testing.assert_array_equal(read_image(opened), blocks())


def test_exif_after_the_pixels_of_a_png_is_found():
    stored, exif = with_orientation(8)
    data = encode(stored, "PNG")
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    late = struct.pack(">I", len(body)) + b"eXIf" + body
    late += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    end = data.rindex(b"IEND") - 4
    np.testing.assert_array_equal(read_image(data[:end] + late + data[end:]), blocks())


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode(Image.fromarray(noise()), "PNG", exif=exif)
    np.testing.assert_array_equal(read_image(data), noise())


def test_damaged_exif_does_not_spoil_a_photo():
    data = encode(Image.fromarray(noise()), "PNG", exif=b"Exif\0\0this is no EXIF")
    np.testing.assert_array_equal(read_image(data), noise())


# --- pixel kinds -----------------------------------------------------------------------------


def test_grey_has_three_equal_channels():
    grey = noise()[:, :, 0]
    image = read_image(encode(Image.fromarray(grey), "PNG"))
    np.testing.assert_array_equal(image, np.stack([grey] * 3, axis=2))


def test_one_bit_is_black_and_white():
    bits = noise()[:, :, 0] > 127
    image = read_image(encode(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(image[:, :, 0], bits * np.uint8(255))


def test_palette_colours_are_looked_up():
    image = read_image(encode(Image.fromarray(blocks()).quantize(4), "PNG"))
    np.testing.assert_array_equal(image, blocks())


def test_transparent_palette_entries_are_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, *BLUE])
    palette.putdata([0, 1])
    assert read_image(encode(palette, "PNG", transparency=1)).tolist() == [[[*RED], [*WHITE]]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_half_transparent_red_is_pink_on_white(kind):
    rgba = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    image = read_image(encode(rgba, kind, lossless=True))
    np.testing.assert_allclose(image[0, 0], (255, 127, 127), atol=1)


def test_grey_with_alpha_is_composited_on_white():
    image = read_image(encode(Image.new("LA", (1, 1), (0, 64)), "PNG"))
    np.testing.assert_allclose(image[0, 0], 191, atol=1)


def test_a_transparent_colour_without_alpha_channel_is_white():
    rgb = Image.fromarray(np.array([[RED, BLUE]], np.uint8))
    assert read_image(encode(rgb, "PNG", transparency=BLUE)).tolist() == [[[*RED], [*WHITE]]]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_without_ink_is_white_paper(kind):
    # Adobe's JPEG stores the inks inverted, TIFF does not.
    assert read_image(encode(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), kind)).min() > 250


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_magenta_and_yellow_are_red(kind):
    image = read_image(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind))
    np.testing.assert_allclose(image[8, 8], RED, atol=5)


def test_ycbcr_becomes_rgb():
    data = encode(Image.new("RGB", (8, 8), GREEN).convert("YCbCr"), "TIFF")
    np.testing.assert_allclose(read_image(data)[0, 0], GREEN, atol=3)


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_16_bit_grey_is_scaled_not_clipped(kind):
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    data = cv2.imencode(kind, values)[1].tobytes()
    assert read_image(data)[0, :, 0].tolist() == [0, 1, 1, 128, 255]


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_16_bit_colour_is_scaled_within_one_level(kind):
    values = np.random.default_rng(0).integers(0, 65536, (9, 11, 3), dtype=np.uint16)
    image = read_image(cv2.imencode(kind, values)[1].tobytes())
    np.testing.assert_allclose(image, values[:, :, ::-1] / 257, atol=1)


def test_16_bit_alpha_is_composited_on_white():
    rows = b"\0" + struct.pack(">4H", 0, 0, 0, 0x8000)
    np.testing.assert_allclose(read_image(png(1, 1, 16, 6, rows)), 127, atol=1)


def test_big_endian_16_bit_tiff_keeps_its_order():
    values = np.array([[0, 32768, 65535]], np.uint16)
    big_endian = Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes())
    assert read_image(encode(big_endian, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_float_grey_between_0_and_1_keeps_its_contrast():
    image = Image.fromarray(np.array([[0.25, 0.5]], np.float32))
    assert read_image(encode(image, "TIFF"))[0, :, 0].tolist() == [64, 128]


def test_nan_is_black_and_infinity_white():
    values = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
    assert read_image(Image.fromarray(values))[0, :, 0].tolist() == [0, 255, 0, 128]


def test_the_first_frame_of_a_gif_is_read():
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    data = encode(first, "GIF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_image(data), np.full((8, 8, 3), RED))


def test_a_multi_picture_jpeg_gives_its_first_picture():
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), BLUE)
    data = encode(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_allclose(read_image(data)[0, 0], RED, atol=5)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_extreme_sizes_are_read(size, kind):
    data = encode(Image.fromarray(noise(*size)), kind)
    assert read_image(data).shape == (*size, 3)


# --- HEIC ------------------------------------------------------------------------------------


def encode_heic(image: Image.Image, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90, **options)
    return buffer.getvalue()


def test_heic_is_read():
    image = read_image(encode_heic(Image.new("RGB", (64, 48), RED)))
    assert image.shape == (48, 64, 3)
    np.testing.assert_allclose(image[24, 32], RED, atol=8)


def test_heic_is_turned_once():
    stored, exif = with_orientation(6)
    image = read_image(encode_heic(stored, exif=exif.tobytes()))
    assert_same_blocks(image)


def test_a_truncated_heic_is_one_line():
    data = encode_heic(Image.fromarray(noise()))
    with pytest.raises(ImageDecodeError, match=r"^the given bytes cannot be decoded: .+$"):
        read_image(data[:-100])


def test_heic_without_its_reader_says_how_to_get_it(monkeypatch):
    data = encode_heic(Image.new("RGB", (64, 48), RED))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageDecodeError, match=r"pip install 'aesthetic-saliency\[heic\]'"):
        read_image(data)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_truncated_file_is_an_error_that_names_it(kind, tmp_path):
    data = encode(Image.fromarray(noise(200, 300)), kind)
    path = tmp_path / "half.jpg"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageDecodeError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_damaged_bytes_raise_nothing_but_image_errors(kind, recwarn):
    # A hundred files with a few bytes overwritten, most of them in the header.
    data = encode(Image.fromarray(noise()), kind, **({} if kind == "GIF" else {"dpi": (72, 72)}))
    random = np.random.default_rng(0)
    warnings.simplefilter("always")  # Pillow may warn of odd metadata
    for _ in range(100):
        damaged = bytearray(data)
        for position in random.integers(8, min(200, len(data)), 4):
            damaged[position] = random.integers(256)
        try:
            image = read_image(bytes(damaged), limits=ImageLimits(max_pixels=1_000_000))
        except ImageError:
            continue
        assert image.shape[2] == 3
    assert not [w for w in recwarn if w.category is Image.DecompressionBombWarning]


def test_the_cause_is_chained():
    with pytest.raises(ImageDecodeError) as caught:
        read_image(encode(Image.fromarray(noise()), "PNG")[:60])
    assert caught.value.__cause__ is not None


def test_given_bytes_are_called_so():
    with pytest.raises(ImageDecodeError, match="the given bytes"):
        read_image(b"\xff\xd8\xff and no more")


def test_a_text_file_called_jpg_shows_how_it_starts(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("Dear diary")
    with pytest.raises(ImageDecodeError, match=r"notes\.jpg should be a JPEG.*b'Dear diary'"):
        read_image(path)


def test_a_format_outside_the_list_is_not_opened():
    with pytest.raises(ImageDecodeError, match="should be a JPEG"):
        read_image(encode(Image.fromarray(noise()), "PPM"))


def test_a_zero_byte_file_is_called_empty(tmp_path):
    path = tmp_path / "nothing.jpg"
    path.touch()
    with pytest.raises(ImageDecodeError, match=r"nothing\.jpg is empty"):
        read_image(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"absent\.jpg does not exist"):
        read_image(tmp_path / "absent.jpg")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ImageError, match="should be a file"):
        read_image(tmp_path)


def test_a_device_is_refused():
    with pytest.raises(ImageError, match="should be a file"):
        read_image("/dev/null")


def test_an_impossible_path_is_an_image_error():
    with pytest.raises(ImageError, match="cannot be read"):
        read_image("nul\0character.jpg")


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(width, height):
    with pytest.raises(ImageDecodeError):
        read_image(png(width, height, 8, 2, b"\0"))


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [10_000, 60_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side):
    # Nothing could decode: the one row is missing its pixels. 10,000 is where Pillow warns.
    with pytest.raises(ImageTooLargeError, match=f"height {side}, width {side}"):
        read_image(png(side, side, 8, 2, b"\0"), limits=ImageLimits(max_pixels=50_000_000))


def test_a_webp_bomb_is_too_large_too():
    # VP8X header with a canvas of 16384 x 16384, beyond what Pillow's own check lets by.
    canvas = (16383).to_bytes(3, "little") * 2
    chunk = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + canvas
    data = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
    with pytest.raises(ImageTooLargeError, match="the given bytes"):
        read_image(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_our_limit_rules_not_pillows(kind, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow would warn at 960 pixels
    assert read_image(encode(Image.fromarray(noise()), kind)).shape == (24, 40, 3)


def test_pixels_are_counted_exactly():
    data = encode(Image.fromarray(noise(24, 40)), "PNG")
    read_image(data, limits=ImageLimits(max_pixels=960))
    with pytest.raises(ImageTooLargeError, match=r"at most 959 pixels\. Found 960"):
        read_image(data, limits=ImageLimits(max_pixels=959))


@pytest.mark.parametrize("source", [noise(), Image.fromarray(noise())])
def test_pictures_in_memory_obey_the_limit(source):
    with pytest.raises(ImageTooLargeError):
        read_image(source, limits=ImageLimits(max_pixels=959))


def test_bytes_obey_the_limit():
    data = encode(Image.fromarray(noise()), "PNG")
    with pytest.raises(ImageTooLargeError, match=f"Found {len(data):,}"):
        read_image(data, limits=ImageLimits(max_bytes=len(data) - 1))


def test_a_large_file_is_refused_unread(tmp_path):
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(2**25)
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError, match=r"large\.jpg"):
            read_image(path, limits=ImageLimits(max_bytes=2**20))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_follows_a_jpeg_does_not_count_as_its_scans() -> None:
    """The film of a motion photo is random enough to look like some."""
    photo = encode(Image.new("RGB", (40, 30), "red"), "JPEG", progressive=True)
    assert read_image(photo + b"\xff\xda\x00\x02" * 1000).shape == (30, 40, 3)
    scan = photo[photo.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageDecodeError, match="at most 100 scans"):
        read_image(photo[:-2] + scan * 100 + photo[-2:])
