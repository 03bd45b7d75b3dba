"""The same picture in any colour space gives the same pixels in sRGB."""

import struct
from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from saliency.images import read_image, read_own_colours, read_reduced

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def draw():
    """Colours that every space here has, from dark to bright, side by side."""
    y, x = np.mgrid[:48, :64] / 64
    levels = np.stack([0.2 + 0.6 * x, 0.3 + 0.6 * y, 0.75 - 0.4 * x * y], axis=-1)
    return np.round(levels * 255).astype(np.uint8)


def encode(pixels, kind="PNG", mode=None, **options):
    file = BytesIO()
    image = Image.fromarray(pixels)
    if mode == "CMYK":
        image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    image.save(file, kind, **options)
    return file.getvalue()


def to_levels(values):
    return np.round(values * 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["display_p3", "adobe_rgb", "prophoto", "linear"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_rgb_profiles_are_converted(profiles, kind, name):
    stored = to_levels(profiles.encode(draw() / 255, name))
    data = encode(stored, kind, lossless=True, icc_profile=profiles.build(name))
    difference = np.abs(read_image(data).astype(int) - draw())
    assert difference.max() <= {"linear": 8, "prophoto": 6}.get(name, 3)
    assert np.abs(stored.astype(int) - draw()).max() > 8  # without conversion


def test_cmyk_profiles_are_converted(profiles):
    stored = to_levels(profiles.encode(draw() / 255, "cmyk"))
    data = encode(stored, "TIFF", "CMYK", icc_profile=profiles.build("cmyk"))
    assert np.abs(read_image(data).astype(int) - draw()).mean() < 3


@pytest.mark.parametrize("deep", [False, True])
def test_grey_profiles_are_converted(profiles, deep):
    grey = draw()[:, :, 1]
    linear = profiles.encode(np.repeat(grey[:, :, None], 3, axis=2) / 255, "linear_grey")
    stored = np.round(linear * 65535).astype(np.uint16) if deep else to_levels(linear)
    image = read_image(encode(stored, icc_profile=profiles.build("linear_grey")))
    np.testing.assert_allclose(image[:, :, 0], grey, atol=1 if deep else 4)


def test_alpha_is_composited_behind_the_conversion(profiles):
    opaque = Image.new("RGB", (4, 4), (200, 40, 90))
    profile = profiles.build("display_p3")
    inside = read_image(encode(np.asarray(opaque), icc_profile=profile))[0, 0]
    opaque.putalpha(128)
    image = read_image(encode(np.asarray(opaque), icc_profile=profile))
    np.testing.assert_allclose(image[0, 0], inside * (128 / 255) + 255 * (127 / 255), atol=1)


def test_a_palette_has_its_profile_too(profiles):
    image = Image.fromarray(draw()).quantize(16)
    profile = profiles.build("adobe_rgb")
    flat, indexed = BytesIO(), BytesIO()
    image.convert("RGB").save(flat, "PNG", icc_profile=profile)
    image.save(indexed, "PNG", icc_profile=profile)
    np.testing.assert_array_equal(read_image(indexed.getvalue()), read_image(flat.getvalue()))


def test_a_given_image_is_converted(profiles):
    data = encode(draw(), icc_profile=profiles.build("display_p3"))
    with Image.open(BytesIO(data)) as image:
        np.testing.assert_array_equal(read_image(image), read_image(data))


@pytest.mark.parametrize("pixels", [draw(), draw()[:, :, 0]])
def test_srgb_changes_nothing(pixels):
    with_profile = read_image(encode(pixels, icc_profile=SRGB))
    np.testing.assert_array_equal(with_profile, read_image(encode(pixels)))


def test_a_profile_of_srgb_written_otherwise_changes_nothing(profiles):
    data = encode(draw(), icc_profile=profiles.build("srgb"))
    np.testing.assert_array_equal(read_image(data), draw())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_damaged_profile_is_ignored_with_a_note(kind):
    data = encode(draw(), kind, lossless=True, icc_profile=b"no profile at all" * 20)
    photo = read_reduced(data, lambda size: size)
    assert photo.notes == (
        "its colour profile is ignored: it is damaged, or littleCMS cannot use it",
    )
    np.testing.assert_array_equal(photo.pixels, read_image(encode(draw(), kind, lossless=True)))


def test_a_profile_for_other_pictures_is_ignored_with_a_note(profiles):
    data = encode(draw(), icc_profile=profiles.build("cmyk"))
    photo = read_reduced(data, lambda size: size)
    assert photo.notes == ("its colour profile is ignored: it is for CMYK pictures",)


# --- own colours -----------------------------------------------------------------------------


def read_own(tmp_path, data):
    path = tmp_path / "photo"
    path.write_bytes(data)
    return read_own_colours(path)


def test_rgb_keeps_its_numbers_and_its_profile(tmp_path, profiles):
    profile = profiles.build("display_p3")
    own = read_own(tmp_path, encode(draw(), icc_profile=profile))
    np.testing.assert_array_equal(own.pixels, draw())
    assert own.profile == profile


def test_cmyk_comes_in_srgb(tmp_path, profiles):
    stored = to_levels(profiles.encode(draw() / 255, "cmyk"))
    data = encode(stored, "TIFF", "CMYK", icc_profile=profiles.build("cmyk"))
    own = read_own(tmp_path, data)
    np.testing.assert_array_equal(own.pixels, read_image(data))
    assert own.profile is None


def test_exif_comes_without_its_orientation(tmp_path):
    exif = Image.Exif()
    exif[274], exif[0x8298] = 6, "mine"
    own = read_own(tmp_path, encode(draw(), "JPEG", exif=exif))
    assert own.pixels.shape == (64, 48, 3)
    assert dict(own.exif) == {0x8298: "mine"}


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize(
    ("codes", "is_noted"), [((1, 13), False), ((2, 2), False), ((12, 13), True), ((9, 16), True)]
)
def test_colours_of_heic_and_avif_that_are_not_applied_have_a_note(kind, codes, is_noted):
    file = BytesIO()
    if kind == "AVIF":
        Image.fromarray(draw()).save(file, kind)
    else:
        pillow_heif.from_pillow(Image.fromarray(draw())).save(file)
    data = file.getvalue()
    at = data.index(b"colrnclx") + 8
    data = data[:at] + struct.pack(">HH", *codes) + data[at + 4 :]
    assert ("CICP" in " ".join(read_reduced(data, lambda size: size).notes)) == is_noted


def test_the_profile_of_a_bmp_is_applied(profiles):
    profile = profiles.build("display_p3")
    stored = to_levels(profiles.encode(draw() / 255, "display_p3"))
    rows = encode(stored, "BMP")[54:]
    height, width = stored.shape[:2]
    header = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
    header += bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    start = struct.pack("<IHHI", 138 + len(rows) + len(profile), 0, 0, 138)
    data = b"BM" + start + header + rows + profile
    np.testing.assert_array_equal(read_image(data), read_image(encode(stored, icc_profile=profile)))
