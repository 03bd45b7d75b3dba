import csv
import io
import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from saliency import Predictor
from saliency.batch import read_entries
from saliency.cli import progress
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
        score, words, path = re.fullmatch(r" *(\S+)  (people .*?) +(/.*)", line).groups()
        assert 1 <= float(score) <= 10
        assert words in ("people agree", "people disagree", "people disagree a lot")
        assert path.startswith(str(photos))


def test_what_is_no_picture_gets_no_score(saliency, tiny_weights, tmp_path):
    Image.new("RGB", (90, 60), "grey").save(tmp_path / "grey.png")
    ended = saliency("predict", tmp_path / "grey.png", "-o", tmp_path / "out", "-w", tiny_weights)
    assert ended.out.split() == ["none", "no", "picture", str(tmp_path / "grey.png")]


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


def test_the_failures_are_listed_with_their_reasons(ended, out_dir, photos):
    (failure,) = map(json.loads, (out_dir / "failures.jsonl").read_text().splitlines())
    assert failure["image"] == str(photos / "broken.png")
    assert f"skipped: {failure['error']}" in ended.err


def test_the_summary_is_one_line_with_all_counts(ended, photos, out_dir):
    total = len(list(photos.iterdir()))
    assert ended.err.splitlines()[-1] == (
        f"{total - 1} of {total} photos predicted; results in {out_dir} "
        "(records in predictions.jsonl); 1 failed (see failures.jsonl)"
    )


@pytest.fixture
def again(saliency, photos, tiny_weights, tmp_path):
    """Return a function that predicts one photo into one folder, as often as asked."""

    def run(*options):
        out = tmp_path / "out"
        return saliency("predict", photos / "0.png", "-o", out, "-w", tiny_weights, *options)

    return run


def test_what_is_done_is_skipped_and_printed_all_the_same(again):
    first, second = again(), again()
    assert "1 were done before" in second.err
    assert "done before" not in first.err
    assert first.out == second.out


@pytest.mark.parametrize(
    "options", [("--no-resume",), ("--map", "png8"), ("--crop", "1:1"), ("--overlay-size", "20")]
)
def test_other_options_are_other_results(again, options):
    again()
    assert "done before" not in again(*options).err


def test_a_table_of_another_format_needs_no_new_predictions(again, tmp_path):
    again()
    ended = again("--format", "csv")
    assert "1 were done before" in ended.err
    assert "records in predictions.csv" in ended.err
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["image"].endswith("0.png")


def test_parquet_has_the_same_rows(again, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    again("--format", "parquet")
    (row,) = parquet.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    assert row["image"].endswith("0.png")


def test_a_crop_is_the_one_that_crop_makes(saliency, again, photos, tiny_weights, tmp_path):
    again("--crop", "16:9", "--map", "none", "--overlay", "none")
    saliency("crop", photos / "0.png", "-a", "16:9", "-o", tmp_path / "crops", "-w", tiny_weights)
    name = "0.crop-16x9-1.png"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "crops" / name).read_bytes()


@pytest.mark.parametrize(
    "options", [("--crop", "wide"), ("--map", "tiff"), ("--format", "xml"), ("--workers", "0")]
)
def test_an_option_that_makes_no_sense_starts_nothing(again, tmp_path, options):
    assert again(*options).code != 0
    assert not (tmp_path / "out").exists()


def test_a_table_lists_the_photos_of_its_call_in_their_order(
    saliency, photos, tiny_weights, tmp_path
):
    for names in ("01", "21"):
        sources = [photos / f"{name}.png" for name in names]
        saliency("predict", *sources, "-o", tmp_path, "-w", tiny_weights)
        lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
        assert [Path(json.loads(line)["image"]).stem for line in lines] == list(names)
    # The journal has all of them, for reports.
    assert {Path(entry.image).stem for entry in read_entries(tmp_path)} == {"0", "1", "2"}


def test_a_list_on_stdin_names_photos(saliency, photos, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(photos.parent)
    lines = f"{photos.name}/1.png\nabsent.png\n{photos.name}/0.png\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    ended = saliency("predict", "-", "-o", tmp_path, "-w", tiny_weights)
    assert ended.code == 1
    assert re.findall(r"\d\.png", ended.out) == ["1.png", "0.png"]
    assert "skipped: absent.png does not exist" in ended.err
    assert (tmp_path / photos.name / "0.map.png").is_file()


def test_a_log_has_plain_lines_with_the_time_left(
    saliency, photos, tiny_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0)
    ended = saliency("predict", photos / "[012].png", "-o", tmp_path, "-w", tiny_weights)
    assert re.search(r"^predicting: 2 of 3, \d+\.\d a second, \d:\d\d:\d\d left$", ended.err, re.M)
    assert "\x1b" not in ended.err


def test_an_output_folder_that_cannot_be_made_is_one_line(again, tmp_path):
    (tmp_path / "out").write_text("a file in its place")
    ended = again()
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith("error: The output folder should be writable")
    assert str(tmp_path / "out") in line


def test_a_list_cannot_be_watched(again):
    ended = again("-", "--watch")
    assert ended.code == 1
    assert "--watch" in ended.err


def test_a_report_is_written_beside_the_table(saliency, photos, tiny_weights, tmp_path):
    ended = saliency("predict", photos, "-o", tmp_path / "out", "-w", tiny_weights, "--report")
    assert "report.html" in ended.err
    page = (tmp_path / "out/report.html").read_text()
    assert "SHA-256" in page
    assert page.count("data:image/webp") == 2 * len(list((tmp_path / "out").rglob("*.overlay.png")))


def test_a_damaged_jpeg_is_predicted_with_a_note(saliency, tmp_path, tiny_weights):
    sample = DrawnDataset(1, seed=0)[0]
    Image.fromarray(sample.image).save(tmp_path / "photo.jpg")
    data = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(data[:-2])  # without the marker of its end
    (tmp_path / "film.mp4").touch()
    out_dir = tmp_path / "out"
    for _ in range(2):  # the second time it was done before
        ended = saliency("predict", tmp_path / "*.*", "-o", out_dir, "-w", tiny_weights)
        assert ended.code == 0
        assert f"note: {tmp_path / 'photo.jpg'}: it has no end-of-image marker" in ended.err
        assert "ignored: 1 .mp4" in ended.err
    [record] = map(json.loads, (out_dir / "predictions.jsonl").read_text().splitlines())
    assert len(record["notes"]) == 1
