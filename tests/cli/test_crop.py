from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from saliency import Predictor, read_image
from saliency.datasets import DrawnDataset
from saliency.insights import Box

SHAPES = ("--aspect", "1:1", "--aspect", "16:9")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with a JPEG, a PNG, one pixel, and one that is cut off."""
    folder = tmp_path_factory.mktemp("photos")
    for name, sample in zip(("a.jpg", "b.png"), DrawnDataset(2, seed=0), strict=True):
        Image.fromarray(sample.image).save(folder / name)
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(folder / "dot.png")
    whole = (folder / "b.png").read_bytes()
    (folder / "broken.png").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "crops"


@pytest.fixture(scope="module")
def ended(saliency_process, photos, out_dir, tiny_weights):
    return saliency_process(
        "crop", photos, *SHAPES, "-n", "2", "-o", out_dir, "-w", tiny_weights, "-d", "cpu"
    )


@pytest.fixture
def rows(ended):
    """What was printed of each file: score, kept attention and box."""
    lines = (line.split() for line in ended.out.splitlines())
    return {path.split("/")[-1]: (score, kept, box) for score, kept, box, path in lines}


def test_a_broken_photo_is_named_and_makes_the_exit_code_1(ended, photos):
    assert ended.code == 1
    assert f"skipped: {photos / 'broken.png'} cannot be decoded" in ended.err
    assert "3 of 4 photos cropped" in ended.err


def test_crops_are_named_by_photo_shape_and_rank(out_dir, rows):
    names = {path.name for path in out_dir.iterdir()}
    assert {f"a.crop-{shape}-{n}.jpg" for shape in ("1x1", "16x9") for n in (1, 2)} <= names
    assert {f"b.crop-{shape}-{n}.png" for shape in ("1x1", "16x9") for n in (1, 2)} <= names
    assert names == set(rows)


def test_every_file_is_the_box_that_was_printed(photos, out_dir, rows):
    image = read_image(photos / "b.png")
    for name, (_, _, box) in rows.items():
        if name.startswith("b."):
            expected = image[Box.parse(box).pixels]
            np.testing.assert_array_equal(read_image(out_dir / name), expected)


def test_a_jpeg_stays_close_to_its_photo(photos, out_dir, rows):
    name = "a.crop-1x1-1.jpg"
    expected = read_image(photos / "a.jpg")[Box.parse(rows[name][2]).pixels]
    difference = read_image(out_dir / name).astype(float) - expected
    assert np.abs(difference).mean() < 3


def test_a_score_is_that_of_the_crop_as_a_photo(out_dir, rows, tiny_weights):
    name = "b.crop-16x9-1.png"
    score = Predictor.load(tiny_weights, "cpu").predict(out_dir / name).score
    assert float(rows[name][0]) == pytest.approx(score, abs=0.006)


def test_a_photo_of_one_pixel_has_a_crop(rows):
    assert rows["dot.crop-1x1-1.png"][1:] == ("100%", "0,0,1,1")


def test_nothing_else_is_left_in_the_folder(ended, out_dir):
    assert not [path for path in out_dir.iterdir() if ".crop-" not in path.name]


def test_a_crop_keeps_the_colour_profile(saliency, tmp_path, tiny_weights):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (60, 40), "red").save(tmp_path / "photo.jpg", icc_profile=profile)
    saliency("crop", tmp_path / "photo.jpg", "-o", tmp_path / "out", "-w", tiny_weights)
    with Image.open(tmp_path / "out" / "photo.crop-1x1-1.jpg") as crop:
        assert crop.info["icc_profile"] == profile


def test_a_crop_in_other_colours_keeps_them(saliency, tmp_path, tiny_weights):
    srgb = ImageCms.createProfile("sRGB")
    profile = ImageCms.ImageCmsProfile(srgb).tobytes()
    # The red and blue primaries change places: a space of its own.
    red, blue = profile.index(b"rXYZ") + 4, profile.index(b"bXYZ") + 4
    swapped = bytearray(profile)
    swapped[red : red + 8] = profile[blue : blue + 8]
    swapped[blue : blue + 8] = profile[red : red + 8]
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 6, "mine"
    photo = Image.new("RGB", (60, 40), (200, 40, 90))
    photo.save(tmp_path / "photo.png", icc_profile=bytes(swapped), exif=exif)
    assert read_image(tmp_path / "photo.png")[0, 0].tolist() == [90, 40, 200]
    saliency("crop", tmp_path / "photo.png", "-o", tmp_path / "out", "-w", tiny_weights)
    with Image.open(tmp_path / "out" / "photo.crop-1x1-1.png") as crop:
        assert crop.info["icc_profile"] == swapped
        assert crop.getpixel((0, 0)) == (200, 40, 90)
        kept = crop.getexif()
        assert kept[0x8298] == "mine"
        assert 0x0112 not in kept


def test_an_rgb_crop_of_a_grey_photo_has_no_grey_profile(saliency, tmp_path, tiny_weights):
    Image.new("L", (60, 40)).save(tmp_path / "photo.png", icc_profile=b"a profile of grey")
    saliency("crop", tmp_path / "photo.png", "-o", tmp_path / "out", "-w", tiny_weights)
    with Image.open(tmp_path / "out" / "photo.crop-1x1-1.png") as crop:
        assert "icc_profile" not in crop.info


def test_a_photo_is_cropped_upright(saliency, tmp_path, tiny_weights):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    data = BytesIO()
    Image.new("RGB", (90, 30)).save(data, "JPEG", exif=exif)
    (tmp_path / "photo.jpg").write_bytes(data.getvalue())
    saliency(
        "crop", tmp_path / "photo.jpg", "-a", "1:3", "-o", tmp_path / "out", "-w", tiny_weights
    )
    height, width, _ = read_image(tmp_path / "out" / "photo.crop-1x3-1.jpg").shape
    assert height == pytest.approx(3 * width, abs=1)


def test_without_a_failure_the_exit_code_is_0(saliency, photos, tmp_path, tiny_weights):
    ended = saliency("crop", photos / "a.jpg", "-o", tmp_path, "-w", tiny_weights)
    assert ended.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.crop-1x1-1.jpg"]


def test_what_is_no_shape_is_one_line_before_anything_is_loaded(saliency, photos, tmp_path):
    ended = saliency("crop", photos, "-a", "wide", "-o", tmp_path, "-w", "absent.safetensors")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: `aspect` should be like 16:9")
    assert ended.err.count("\n") == 1


def test_help_shows_an_example_to_copy(saliency):
    ended = saliency("crop", "--help")
    assert "Example: saliency crop photos/ --aspect 1:1" in " ".join(ended.out.split())
