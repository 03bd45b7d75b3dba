"""Damaged JPEG data are noticed where libjpeg would warn, and sound files are left alone."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from saliency.errors import ImageDecodeError
from saliency.images import jpeg, read_reduced
from saliency.images.jpeg import DAMAGED, INCOMPLETE, UNENDED, find_layout

FORMS = {
    "baseline": {},
    "without subsampling": {"subsampling": 0},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
    "restarts within rows": {"restart_marker_blocks": 3},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 2},
}


def draw(width=360, height=240):
    """Waves and noise: something in every block, as in a photo."""
    y, x = np.mgrid[:height, :width]
    waves = 128 + 60 * np.sin(x / 17 + np.sin(y / 23)) + 40 * np.cos(y / 11)
    noise = np.random.default_rng(0).normal(0, 3, (height, width, 3))
    return Image.fromarray((waves[:, :, None] + noise).clip(0, 255).astype(np.uint8))


def encode(image, **options):
    file = BytesIO()
    image.save(file, "JPEG", quality=85, **options)
    return file.getvalue()


def read(data, needed=None):
    return read_reduced(data, lambda size: needed or size)


@pytest.mark.parametrize("size", [(360, 240), (353, 241), (13, 7), (8, 8), (1, 1)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("form", FORMS)
def test_a_sound_file_has_no_note_and_pillows_pixels(form, mode, size):
    data = encode(draw(*size).convert(mode), **FORMS[form])
    photo = read(data)
    assert photo.notes == ()
    np.testing.assert_array_equal(
        photo.pixels, np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_sound_file_has_no_note_when_reduced(form):
    assert read(encode(draw(), **FORMS[form]), (60, 90)).notes == ()


def damage(data, kind, seed):
    random = np.random.default_rng(seed)
    first = data.index(b"\xff\xda") + 14
    start = int(random.integers(first, len(data) - 700))
    length = int(random.integers(256, 512))
    match kind:
        case "zeros":
            return data[:start] + bytes(length) + data[start + length :]
        case "cut out":
            return data[:start] + data[start + length :]
        case "put in":
            return data[:start] + random.bytes(length).replace(b"\xff", b"\0") + data[start:]
    raise ValueError(kind)


def notice(data):
    try:
        return read(data).notes
    except ImageDecodeError:  # where libjpeg gives up, not only warns
        return "refused"


@pytest.mark.parametrize("kind", ["zeros", "cut out", "put in"])
@pytest.mark.parametrize("form", ["baseline", "progressive", "restarts"])
def test_damaged_data_have_a_note(form, kind):
    data = encode(draw(), **FORMS[form])
    found = [notice(damage(data, kind, seed)) for seed in range(20)]
    # Where the codes come out even by chance libjpeg has nothing to warn of either.
    assert found.count(()) <= 5
    assert set(found) <= {(DAMAGED,), (INCOMPLETE,), (), "refused"}


def test_damage_is_noticed_when_reduced_too():
    data = damage(encode(draw()), "zeros", 0)
    assert read(data, (60, 90)).notes == (DAMAGED,)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_lacks_its_end_alone_is_read_with_a_note(form):
    data = encode(draw(), **FORMS[form])
    photo = read(data[:-2])
    assert photo.notes == (UNENDED,)
    np.testing.assert_array_equal(photo.pixels, read(data).pixels)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("missing", [40, 2000])
def test_a_file_that_lacks_pixels_is_refused(form, missing):
    data = encode(draw(), **FORMS[form])
    with pytest.raises(ImageDecodeError, match="truncated"):
        read(data[:-missing])


def test_bytes_behind_the_picture_are_no_damage():
    assert read(encode(draw()) + b"\xff\xda\0\2 a film").notes == ()


def test_of_too_many_stretches_none_is_looked_at(monkeypatch):
    monkeypatch.setattr(jpeg, "MAX_STRETCHES", 10)
    data = encode(draw(), restart_marker_blocks=1)
    photo = read(data)
    assert photo.notes == ()
    np.testing.assert_array_equal(photo.pixels, np.asarray(Image.open(BytesIO(data))))


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_missing_passes_of_a_progressive_file_have_a_note(end):
    data = encode(draw(), progressive=True)
    stretches = find_layout(data, "the photo").stretches
    for _, stop in stretches[:-1]:
        assert read(data[:stop] + end).notes == (INCOMPLETE,)
    assert read(data[: stretches[-1][1]] + end).notes == (() if end else (UNENDED,))


def test_restarts_out_of_order_have_a_note():
    data = encode(draw(), restart_marker_rows=1)
    stretches = find_layout(data, "the photo").stretches
    assert len(stretches) > 10
    lacking = data[: stretches[3][0]] + data[stretches[4][0] :]
    doubled = data[: stretches[5][0]] + data[stretches[4][0] :]
    assert read(lacking).notes == read(doubled).notes == (DAMAGED,)


def test_a_profile_of_which_a_part_is_missing_has_a_note():
    data = encode(draw(), icc_profile=bytes(100_000))
    start = data.index(b"ICC_PROFILE\0\2") - 4
    length = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    [note] = read(data[:start] + data[start + length :]).notes
    assert "profile is ignored" in note
