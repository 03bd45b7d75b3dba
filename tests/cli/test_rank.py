import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, chelsea, coffee

from saliency import Predictor
from saliency.calibration import Calibration
from saliency.checkpoint import to_sha256
from saliency.records import Record
from saliency.score_reference import ScoreReference, reference_of


@pytest.fixture
def photos(tmp_path):
    """Three photos, a small copy of one of them, and one that is cut off."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    Image.fromarray(astronaut()).save(folder / "astronaut.jpg")
    Image.fromarray(coffee()).save(folder / "coffee.jpg")
    Image.fromarray(chelsea()).save(folder / "trip" / "[a] cat.png")
    Image.fromarray(coffee()).resize((150, 100)).save(folder / "trip" / "small.webp")
    whole = (folder / "coffee.jpg").read_bytes()
    (folder / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def readable(photos):
    (photos / "broken.jpg").unlink()
    return photos


@pytest.fixture
def weights(tmp_path, tiny_weights):
    """The tiny network with a reference in which everything it says is in the middle."""
    copy = tmp_path / "tiny.safetensors"
    shutil.copy(tiny_weights, copy)
    scores = {"made up": np.linspace(1, 10, 901)}
    ScoreReference.measure(scores, to_sha256(copy)).save(reference_of(copy))
    return copy


def everything_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_json_has_the_scores_of_the_library_in_order(saliency, photos, weights):
    ended = saliency("rank", photos, "-w", weights, "-d", "cpu", "--json")
    rows = json.loads(ended.out)["photos"]
    predictor = Predictor.load(weights, "cpu")
    for row in rows:
        assert row["score"] == pytest.approx(predictor.predict(row["image"]).score, abs=1e-4)
        assert row["percentile"] == pytest.approx((row["score"] - 1) / 9 * 100, abs=0.1)
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]


def test_a_copy_is_in_the_group_of_its_photo_and_one_is_best(saliency, photos, weights):
    ended = saliency("rank", photos, "-w", weights, "--json")
    rows = json.loads(ended.out)["photos"]
    grouped = [row for row in rows if row["group"] == 1]
    assert {row["image"].split("/")[-1] for row in grouped} == {"coffee.jpg", "small.webp"}
    assert sum(row["best"] for row in grouped) == 1
    assert all(row["best"] for row in rows if row["group"] is None)


def test_a_broken_photo_is_listed_and_makes_the_exit_code_1(saliency, photos, weights):
    ended = saliency("rank", photos, "-w", weights, "--json")
    assert ended.code == 1
    assert f"skipped: {photos / 'broken.jpg'} cannot be decoded" in ended.err
    assert "1 of 5 photos could not be read" in ended.err
    (unread,) = json.loads(ended.out)["unread"]
    assert unread["image"] == str(photos / "broken.jpg")
    assert "cannot be decoded" in unread["error"]


def test_without_a_failure_the_exit_code_is_0(saliency, readable, weights):
    assert saliency("rank", readable, "-w", weights).code == 0


def test_csv_has_the_rows_of_json(saliency, photos, weights):
    as_json = json.loads(saliency("rank", photos, "-w", weights, "--json").out)["photos"]
    as_csv = csv.DictReader(saliency("rank", photos, "-w", weights, "--csv").out.splitlines())
    for row, photo in zip(as_csv, as_json, strict=True):
        expected = photo | {f"quality_{name}": value for name, value in photo["quality"].items()}
        assert row == {k: "" if expected[k] is None else str(expected[k]) for k in row}


def test_json_has_the_record_of_every_photo(saliency, readable, weights):
    predictor = Predictor.load(weights, "cpu")
    told = json.loads(saliency("rank", readable, "-w", weights, "-d", "cpu", "--json").out)
    for row in told["photos"]:
        record, expected = Record.from_json(row), predictor.record(row["image"])
        assert record.image_size == expected.image_size
        assert record.saliency.entropy == pytest.approx(expected.saliency.entropy, abs=1e-4)
        assert record.quality.sharpness == pytest.approx(expected.quality.sharpness, abs=1e-3)


def test_what_is_no_picture_is_said_to_have_no_score(saliency, readable, weights, monkeypatch):
    monkeypatch.setattr("saliency.cli.rank.stdout.width", 300)
    Image.new("RGB", (90, 60), "grey").save(readable / "grey.png")
    ended = saliency("rank", readable, "-w", weights)
    last = [line.split() for line in ended.out.splitlines() if line.strip()][-1]
    assert last[:2] == ["5", "none"]
    assert "picture:" in ended.out


def test_the_table_names_every_photo_as_it_is_called(saliency, photos, weights, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("saliency.cli.rank.stdout.width", 300)
    ended = saliency("rank", photos, "-w", weights)
    lines = [line.split(maxsplit=1) for line in ended.out.splitlines() if "photos" in line]
    assert [line[0] for line in lines] == ["1", "2", "3", "4"]
    assert "[a] cat.png" in ended.out
    assert "1 best" in ended.out
    assert "rating" not in ended.out  # nobody gave a calibration


def test_nothing_is_moved_changed_or_added(saliency, photos, weights):
    before = everything_below(photos)
    saliency("rank", photos, "-w", weights)
    assert everything_below(photos) == before


def test_xmp_adds_sidecars_and_changes_nothing(saliency, readable, weights):
    before = everything_below(readable)
    ended = saliency("rank", readable, "-w", weights, "--xmp", "--json")
    assert ended.code == 0
    after = everything_below(readable)
    assert {path: after[path] for path in before} == before
    stars = {row["image"]: row["stars"] for row in json.loads(ended.out)["photos"]}
    for path, content in after.items():
        if path not in before:
            assert path.name.endswith(".xmp")
            assert f'xmp:Rating="{stars[str(path)[:-4]]}"'.encode() in content
    assert len(after) == 2 * len(before)


def test_a_sidecar_that_exists_is_kept_named_and_makes_the_exit_code_1(saliency, readable, weights):
    sidecar = readable / "coffee.jpg.xmp"
    sidecar.write_text("edits of an evening")
    ended = saliency("rank", readable, "-w", weights, "--xmp")
    assert ended.code == 1
    assert f"no stars written: {sidecar} exists" in ended.err
    assert "stars of 3 of 4 photos" in ended.err
    assert sidecar.read_text() == "edits of an evening"


def test_a_file_without_stars_does_not_count_as_written(saliency, readable, weights):
    Image.new("RGB", (90, 60), "grey").save(readable / "grey.png")
    ended = saliency("rank", readable, "-w", weights, "--xmp")
    assert not (readable / "grey.png.xmp").exists()
    assert "stars of 4 of 5 photos" in ended.err


def test_the_same_command_twice_is_no_failure(saliency, readable, weights):
    for _ in range(2):
        assert saliency("rank", readable, "-w", weights, "--xmp").code == 0


def test_without_a_reference_there_are_no_percentiles_and_it_is_said(
    saliency, readable, tiny_weights
):
    ended = saliency("rank", readable, "-w", tiny_weights, "--json")
    assert ended.code == 0
    assert "no percentiles: " in ended.err
    assert {row["percentile"] for row in json.loads(ended.out)["photos"]} == {None}


def test_without_a_reference_there_are_no_stars_to_write(saliency, readable, tiny_weights):
    before = everything_below(readable)
    ended = saliency("rank", readable, "-w", tiny_weights, "--xmp")
    assert (ended.code, ended.out) == (1, "")
    assert "should hold the scores of reference photos" in ended.err
    assert everything_below(readable) == before


def test_a_calibration_adds_ratings(saliency, readable, weights, tmp_path):
    calibration = Calibration((1.0, 10.0), (0.0, 100.0), to_sha256(weights))
    calibration.save(tmp_path / "mine.json")
    ended = saliency(
        "rank", readable, "-w", weights, "--calibration", tmp_path / "mine.json", "--json"
    )
    for row in json.loads(ended.out)["photos"]:
        assert row["rating"] == pytest.approx((row["score"] - 1) / 9 * 100)


def test_a_calibration_of_other_weights_is_one_line(saliency, readable, weights, tmp_path):
    Calibration((1.0, 10.0), (0.0, 100.0), "another").save(tmp_path / "mine.json")
    ended = saliency("rank", readable, "-w", weights, "--calibration", tmp_path / "mine.json")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: A calibration should be used with the weights")
    assert ended.err.count("\n") == 1


def test_json_and_csv_together_are_wrong_usage(saliency, readable, weights):
    assert saliency("rank", readable, "-w", weights, "--json", "--csv").code == 2


def test_help_shows_an_example_to_copy(saliency):
    assert "Example: saliency rank photos/" in " ".join(saliency("rank", "--help").out.split())
