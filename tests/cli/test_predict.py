import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from saliency import Predictor
from saliency.datasets import DrawnDataset

UNSHOWABLE = os.fsdecode(b"caf\xe9.png")  # a name that is no UTF-8, as old cameras write them


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with photos, one that is cut off, and one with a name no terminal can show."""
    folder = tmp_path_factory.mktemp("photos")
    for number, sample in enumerate(DrawnDataset(3, seed=0)):
        Image.fromarray(sample.image).save(folder / f"{number}.png")
    whole = (folder / "0.png").read_bytes()
    (folder / "broken.png").write_bytes(whole[: len(whole) // 2])
    with suppress(OSError):  # macOS has no such names
        (folder / UNSHOWABLE).write_bytes(whole)
    return folder


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "results"


@pytest.fixture(scope="module")
def ended(saliency_process, photos, out_dir, tiny_weights):
    return saliency_process(
        "predict", photos, "-o", out_dir, "-w", tiny_weights, PYTHONIOENCODING="utf-8:strict"
    )


@pytest.fixture
def records(ended, out_dir):
    lines = (out_dir / "predictions.jsonl").read_text().splitlines()
    return {Path(row["image"]).name: row for row in map(json.loads, lines)}


def test_a_broken_photo_makes_the_exit_code_1(ended):
    assert ended.code == 1


def test_a_broken_photo_is_named_on_stderr_with_the_reason(ended, photos):
    assert f"skipped: {photos / 'broken.png'} cannot be decoded" in ended.err


def test_the_other_photos_are_done(records, out_dir):
    for name in ("0.png", "1.png", "2.png"):
        assert (out_dir / records[name]["overlay"]).is_file()
        assert (out_dir / records[name]["map"]).is_file()
    assert "broken.png" not in records


def test_a_name_that_no_terminal_can_show_stops_nothing(records, photos):
    if not (photos / UNSHOWABLE).exists():
        pytest.skip("this file system has no such names")
    assert UNSHOWABLE in records


def test_results_go_to_stdout_and_nothing_else(ended, photos):
    for line in ended.out.splitlines():
        score, path = line.split(maxsplit=1)
        assert 1 <= float(score) <= 10
        assert path.startswith(str(photos))


def test_progress_and_totals_go_to_stderr(ended, out_dir):
    assert "device: cpu" in ended.err
    assert f"photos predicted; results in {out_dir}" in ended.err


def test_scores_are_the_librarys(records, photos, tiny_weights):
    predictor = Predictor.load(tiny_weights, "cpu")
    found = {name: records[name]["score"] for name in ("0.png", "1.png", "2.png")}
    expected = {name: predictor.predict(photos / name).score for name in found}
    assert found == pytest.approx(expected, abs=1e-4)
    assert len({round(score, 3) for score in expected.values()}) == 3


def test_without_a_failure_the_exit_code_is_0(saliency, photos, tiny_weights, tmp_path):
    ended = saliency("predict", photos / "0.png", "-o", tmp_path, "-w", tiny_weights)
    assert ended.code == 0


def test_one_batch_or_many_give_the_same_scores(saliency, photos, tiny_weights, tmp_path):
    outs = [
        saliency("predict", photos / "[012].png", "-b", b, "-o", tmp_path, "-w", tiny_weights).out
        for b in "13"
    ]
    assert outs[0] == outs[1]
    assert outs[0].count("\n") == 3


@pytest.mark.parametrize("source", ["absent.png", "absent/*.png"])
def test_a_source_that_names_nothing_is_one_line(saliency, tiny_weights, tmp_path, source):
    ended = saliency("predict", tmp_path / source, "-o", tmp_path / "out", "-w", tiny_weights)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: {tmp_path / source} ")
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
