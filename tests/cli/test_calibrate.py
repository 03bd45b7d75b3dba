import json

import pytest
from PIL import Image

from saliency import Predictor
from saliency.calibration import Calibration
from saliency.checkpoint import to_sha256
from saliency.datasets import DrawnDataset

COUNT = 36


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rated") / "images"
    folder.mkdir()
    for number, sample in enumerate(DrawnDataset(COUNT, seed=0)):
        Image.fromarray(sample.image).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def scores(images, tiny_weights):
    predictor = Predictor.load(tiny_weights, "cpu")
    return [p.score for p in predictor.predict_many(images / f"{i}.png" for i in range(COUNT))]


@pytest.fixture
def table(images, scores):
    """Ratings that follow the score by a steep line, on 1..5."""
    low, high = min(scores), max(scores)
    rows = [f"{i}.png,{1 + 4 * (s - low) / (high - low):.6f}" for i, s in enumerate(scores)]
    path = images.parent / "ratings.csv"
    path.write_text("\n".join(["file,score", *rows]) + "\n")
    return path


@pytest.fixture
def run(saliency, table, images, tiny_weights):
    """Return a function that calibrates with more arguments."""

    def run(*arguments, table=table):
        given = ("--images", images, "--low", "1", "--high", "5", "-w", tiny_weights, "-d", "cpu")
        return saliency("calibrate", table, *given, *arguments)

    return run


def test_the_map_that_is_saved_meets_the_ratings(run, tmp_path, scores, tiny_weights):
    assert run("-o", tmp_path / "mine.json").code == 0
    calibration = Calibration.load(tmp_path / "mine.json")
    calibration.check_weights(to_sha256(tiny_weights))
    assert calibration.apply(min(scores)) == pytest.approx(1, abs=0.01)
    assert calibration.apply(max(scores)) == pytest.approx(5, abs=0.01)


def test_before_and_after_are_told_with_their_numbers(run, tmp_path):
    ended = run("-o", tmp_path / "mine.json")
    assert "12 photos held out, fitted to 24 others" in ended.out
    rows = {words[0]: words for line in ended.out.splitlines() if (words := line.split())}
    assert float(rows["after"][-3]) < float(rows["before"][-3]) / 5  # MAE


def test_the_file_says_how_it_came_about(run, tmp_path):
    run("-o", tmp_path / "mine.json")
    origin = json.loads((tmp_path / "mine.json").read_text())["origin"]
    assert (origin["ratings"], origin["rows"]) == ("ratings.csv", COUNT)
    assert (origin["low"], origin["high"]) == (1, 5)
    assert origin["held_out"]["rows"] == 12
    assert origin["held_out"]["after"]["mae"] < origin["held_out"]["before"]["mae"]


def test_it_goes_beside_the_weights_if_nothing_is_said(run, tiny_weights):
    ended = run()
    place = tiny_weights.with_name("tiny.calibration.json")
    assert f"calibration in {place}" in ended.err
    assert place.is_file()
    place.unlink()


def test_a_photo_that_cannot_be_read_is_named_and_the_rest_counts(run, table, tmp_path):
    more = tmp_path / "more.csv"
    more.write_text(f"{table.read_text()}absent.png,3\n")
    ended = run("-o", tmp_path / "mine.json", table=more)
    assert ended.code == 1
    assert "skipped: " in ended.err
    assert "absent.png" in ended.err
    assert json.loads((tmp_path / "mine.json").read_text())["origin"]["rows"] == COUNT


def test_a_rating_off_the_scale_is_one_line_before_anything_is_loaded(saliency, table):
    ended = saliency("calibrate", table, "--high", "3", "-w", "absent.safetensors")
    assert (ended.code, ended.out) == (1, "")
    assert "`score` should be a number in 1..3" in ended.err
    assert ended.err.count("\n") == 1


def test_too_few_photos_leave_no_file(run, table, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("\n".join(table.read_text().splitlines()[:11]) + "\n")
    ended = run("-o", tmp_path / "mine.json", table=few)
    assert ended.code == 1
    assert "at least 30 photos" in ended.err
    assert not (tmp_path / "mine.json").exists()


def test_help_shows_an_example_to_copy(saliency):
    words = " ".join(saliency("calibrate", "--help").out.split())
    assert "Example: saliency calibrate ratings.csv" in words
