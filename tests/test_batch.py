import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency import Predictor, SaliencyError
from saliency.batch import find_photos, predict_files, to_fields
from saliency.datasets import DrawnDataset


@pytest.fixture(scope="module")
def predictor(tiny_weights):
    return Predictor.load(tiny_weights, "cpu")


@pytest.fixture
def photos(tmp_path):
    """A folder with photos at two depths, a hidden one, and files that are no photos."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    names = ("b.png", "trip/c.jpg", "a.JPG", ".hidden.png")
    for name, sample in zip(names, DrawnDataset(4, seed=0), strict=True):
        Image.fromarray(sample.image).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    (folder / "album.png").mkdir()
    return folder


def stems(*sources):
    return [photo.stem.as_posix() for photo in find_photos([str(source) for source in sources])]


def records(out: Path):
    return [json.loads(row) for row in (out / "predictions.jsonl").read_text().splitlines()]


def everything_below(folder: Path):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_folder_is_searched_at_any_depth_for_visible_photos(photos):
    assert stems(photos) == ["a", "b", "trip/c"]


def test_a_file_is_taken_whatever_it_is_called(photos):
    # Who names a file means it; reading it will tell.
    assert stems(photos / "notes.txt") == ["notes"]


def test_a_glob_finds_photos_alone(photos):
    assert stems(photos / "*") == ["a", "b"]


def test_a_recursive_glob_reaches_folders(photos):
    assert stems(photos / "**" / "*.jpg") == ["c"]


def test_a_name_that_looks_like_a_glob_is_a_file_first(tmp_path):
    for name in ("[1].png", "1.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert stems(tmp_path / "[1].png") == ["[1]"]


def test_a_photo_named_twice_comes_once(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert stems("a.JPG", photos, "./trip/../a.JPG", "*.JPG") == ["a", "b", "trip/c"]


def test_photos_that_differ_in_suffix_alone_keep_apart(tmp_path):
    for name in ("a.png", "a.jpg", "a-jpg.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert sorted(stems(tmp_path)) == ["a-jpg", "a-jpg-2", "a-png"]


def test_equal_names_in_two_folders_keep_apart(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "a.png")
    found = stems(tmp_path / "one", tmp_path / "two")
    assert len(set(found)) == 2


@pytest.mark.parametrize("source", ["absent.jpg", "absent/*.jpg", "empty", "text/*"])
def test_a_source_that_names_nothing_is_an_error_that_names_it(tmp_path, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("no photo")
    with pytest.raises(SaliencyError, match=source.replace("*", r"\*")):
        find_photos([str(tmp_path / source)])


def test_results_keep_the_layout_of_the_folder(predictor, photos, tmp_path):
    out = tmp_path / "deep" / "out"
    outcomes = list(predict_files(predictor, find_photos([str(photos)]), out))
    assert all(outcome.error is None for outcome in outcomes)
    assert everything_below(out) == sorted(
        [f"{stem}.{kind}.png" for stem in ("a", "b", "trip/c") for kind in ("map", "overlay")]
        + ["predictions.jsonl"]
    )  # so nothing with a temporary name is left


def test_a_broken_photo_is_named_and_the_others_are_done(predictor, photos, tmp_path):
    whole = (photos / "a.JPG").read_bytes()
    (photos / "aa.jpg").write_bytes(whole[: len(whole) // 2])  # in the middle of the batch
    outcomes = list(predict_files(predictor, find_photos([str(photos)]), tmp_path / "out"))
    assert [outcome.record is None for outcome in outcomes] == [False, True, False, False]
    assert "aa.jpg" in outcomes[1].error


def test_records_after_a_broken_photo_belong_to_their_photos(predictor, photos, tmp_path):
    (photos / "aa.jpg").write_bytes(b"")
    list(predict_files(predictor, find_photos([str(photos)]), tmp_path / "out", batch_size=4))
    rows = records(tmp_path / "out")
    assert [Path(row["image"]).name for row in rows] == ["a.JPG", "b.png", "c.jpg"]
    for row in rows:
        assert row["score"] == pytest.approx(predictor.predict(row["image"]).score, abs=1e-4)


def test_nothing_but_broken_photos_gives_an_empty_list_of_records(predictor, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    outcomes = list(predict_files(predictor, find_photos([str(tmp_path / "a.jpg")]), out))
    assert [outcome.record for outcome in outcomes] == [None]
    assert everything_below(out) == ["predictions.jsonl"]
    assert (out / "predictions.jsonl").read_text() == ""


def test_a_map_is_of_the_photos_size_in_16_bits_up_to_full_white(predictor, tmp_path):
    # Stored as (60, 90); EXIF 6 says that it is seen as (90, 60).
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(DrawnDataset(1, seed=0)[0].image[:60, :90]).save(
        tmp_path / "turned.jpg", exif=exif
    )
    list(predict_files(predictor, find_photos([str(tmp_path / "turned.jpg")]), tmp_path / "out"))
    with Image.open(tmp_path / "out" / "turned.map.png") as saliency_map:
        pixels = np.asarray(saliency_map)
    assert pixels.shape == (90, 60)
    assert pixels.dtype == np.uint16
    assert pixels.max() == 65535


def test_a_record_has_the_predictions_own_field_names(predictor, photos, tmp_path):
    list(predict_files(predictor, find_photos([str(photos / "b.png")]), tmp_path / "out"))
    (row,) = records(tmp_path / "out")
    prediction = predictor.predict(photos / "b.png")
    assert row["image_size"] == list(prediction.image_size)
    assert row["score_std"] == pytest.approx(prediction.score_std, abs=1e-4)
    assert row["score_distribution"] == pytest.approx(
        prediction.score_distribution.tolist(), abs=1e-4
    )
    assert row.keys() == {"image", "overlay", "map", *to_fields(prediction)}


def test_batches_give_the_numbers_of_single_photos(predictor, photos, tmp_path):
    found = find_photos([str(photos)])
    alone, together = (
        [o.record["score"] for o in predict_files(predictor, found, tmp_path / "out", size)]
        for size in (1, 3)
    )
    assert together == pytest.approx(alone, abs=1e-4)
    assert len({round(score, 4) for score in alone}) == 3  # or equal numbers would prove nothing


def test_earlier_records_stay_until_the_new_ones_are_whole(predictor, photos, tmp_path):
    out = tmp_path / "out"
    found = find_photos([str(photos)])
    list(predict_files(predictor, found, out))
    earlier = (out / "predictions.jsonl").read_bytes()
    unfinished = predict_files(predictor, found[:1], out, batch_size=1)
    next(unfinished)
    unfinished.close()  # as Ctrl-C does
    assert (out / "predictions.jsonl").read_bytes() == earlier


def test_results_of_an_earlier_run_are_no_photos(tmp_path):
    for name in ("a.jpg", "a.overlay.png", "a.map.png", "a.crop-16x9-1.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert [photo.path.name for photo in find_photos([str(tmp_path)])] == ["a.jpg"]
