import numpy as np
import pytest
from PIL import Image

from saliency import read_image
from saliency.batch import Pictures
from saliency.datasets import DrawnDataset
from saliency.images import reading
from saliency.insights import AspectRatio
from saliency.rendering import to_overlay

NOTHING = Pictures(overlay="none", map="none")


@pytest.fixture
def photo(tmp_path):
    # Stored as (60, 90); EXIF 6 says that it is seen as (90, 60).
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(DrawnDataset(1, seed=0)[0].image[:60, :90]).save(path, exif=exif)
    return path


@pytest.fixture
def make(predict, photo, tmp_path):
    """Return a function that predicts the photo and returns its record."""

    def run(pictures):
        (outcome,) = predict(photo, tmp_path / "out", pictures)
        return outcome.entry.record

    return run


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("kind", "dtype", "white"), [("png16", np.uint16, 65535), ("png8", np.uint8, 255)]
)
def test_a_map_is_of_the_photos_size_up_to_full_white(make, tmp_path, kind, dtype, white):
    make(Pictures(map=kind))
    pixels = read(tmp_path / "out" / "turned.map.png")
    assert pixels.shape == (90, 60)
    assert pixels.dtype == dtype
    assert pixels.max() == white


def test_an_overlay_has_a_legend_if_asked(make, tmp_path):
    make(Pictures(legend=True))
    assert len(read(tmp_path / "out" / "turned.overlay.png")) > 90


def test_a_map_of_floats_is_the_density(make, predictor, photo, tmp_path):
    record = make(Pictures(map="npy"))
    density = np.load(tmp_path / "out" / record.map)
    expected = predictor.predict(photo).density
    np.testing.assert_allclose(density, expected, atol=1e-4 * expected.max())
    assert density.dtype == np.float32


def test_a_smaller_map_keeps_the_proportions_and_the_sum(make, tmp_path):
    record = make(Pictures(map="npy", map_side_px=45))
    density = np.load(tmp_path / "out" / record.map)
    assert density.shape == (45, 30)
    assert density.sum() == pytest.approx(1, abs=1e-5)


def test_a_map_is_never_larger_than_its_photo(make, tmp_path):
    make(Pictures(map_side_px=1000))
    assert read(tmp_path / "out" / "turned.map.png").shape == (90, 60)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_an_overlay_has_the_side_that_was_asked_for(make, tmp_path, kind):
    record = make(Pictures(overlay=kind, overlay_side_px=30))
    assert record.overlay == f"turned.overlay.{kind}"
    assert read(tmp_path / "out" / record.overlay).shape == (30, 20, 3)


def test_a_jpeg_overlay_looks_like_the_lossless_one(make, predictor, photo, tmp_path):
    make(Pictures(overlay="jpg"))
    expected = to_overlay(read_image(photo), predictor.predict(photo).density)
    difference = read(tmp_path / "out" / "turned.overlay.jpg").astype(float) - expected
    assert np.abs(difference).mean() < 6  # red and blue swapped: 30


def test_without_pictures_there_are_none(make, tmp_path):
    record = make(NOTHING)
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".jsonl"]
    assert record.files == ()


def test_crops_are_the_photos_own_pixels(predict, photos, tmp_path):
    shapes = (AspectRatio.parse("1:1"), AspectRatio.parse("16:9"))
    pictures = Pictures("none", map="none", crops=shapes)
    (outcome,) = predict(photos / "b.png", tmp_path / "out", pictures)
    crops = outcome.entry.record.crops
    assert [crop.aspect for crop in crops] == ["1:1", "16:9"]
    for crop in crops:
        expected = read_image(photos / "b.png")[crop.box.pixels]
        np.testing.assert_array_equal(read_image(tmp_path / "out" / crop.file), expected)
        assert 0 < crop.kept_attention <= 1
        assert 1 <= crop.score <= 10


@pytest.fixture
def decoded(monkeypatch):
    """Return a list that grows by the kind of every picture that is decoded from a file."""
    kinds = []
    decode = reading._decode_bytes

    def note(data, name, limits, enough):
        kinds.append("whole" if enough is None else "reduced")
        return decode(data, name, limits, enough)

    monkeypatch.setattr(reading, "_decode_bytes", note)
    return kinds


@pytest.mark.parametrize(
    ("kind", "scale", "expected"),
    [("png", 1, ["whole"]), ("jpg", 1, ["whole"]), ("jpg", 8, ["whole", "reduced"])],
)
def test_a_photo_with_crops_is_decoded_once_and_a_large_jpeg_a_second_time_in_fewer_pixels(
    predictor, tmp_path, decoded, kind, scale, expected
):
    image = Image.fromarray(DrawnDataset(1, seed=0)[0].image)
    size = (image.width * scale, image.height * scale)
    image.resize(size).save(tmp_path / f"photo.{kind}")
    prepared, own = predictor.prepare_whole(tmp_path / f"photo.{kind}")
    assert decoded == expected
    alone = predictor.prepare(tmp_path / f"photo.{kind}")
    np.testing.assert_array_equal(prepared.input, alone.input)
    np.testing.assert_array_equal(prepared.measured, alone.measured)
    assert prepared.size == alone.size == own.pixels.shape[:2] == prepared.image.shape[:2]


def test_crops_start_no_threads_of_their_own(predict, photos, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a pool inside a pool")

    monkeypatch.setattr("saliency.predictor.map_ahead", refuse)
    pictures = Pictures("none", map="none", crops=(AspectRatio.parse("1:1"),))
    (outcome,) = predict(photos / "b.png", tmp_path / "out", pictures, workers=2)
    assert len(outcome.entry.record.crops) == 1
