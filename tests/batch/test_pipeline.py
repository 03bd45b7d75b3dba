import os
import threading
import time

import pytest
from PIL import Image

from saliency import Card, Checkpoint, Predictor, SaliencyError
from saliency.batch import Journal, Pictures, find_photos, pipeline, predict_files
from saliency.datasets import DrawnDataset
from saliency.insights import AspectRatio
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing


def records(outcomes):
    return [outcome.entry.record for outcome in outcomes]


def names(outcomes):
    return [outcome.photo.name for outcome in outcomes]


@pytest.fixture
def many(tmp_path):
    """A folder of photos that differ in size, the first by far the largest."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number, sample in enumerate(DrawnDataset(24, seed=0)):
        side = 2000 if number == 0 else 40 + number
        Image.fromarray(sample.image).resize((side, side)).save(folder / f"{number:02}.png")
    return folder


def test_results_keep_the_layout_of_the_folder(predict, photos, tmp_path, everything_below):
    out = tmp_path / "deep" / "out"
    assert all(records(predict(photos, out)))
    # So nothing with a temporary name is left.
    assert sorted(everything_below(out)) == sorted(
        f"{name}.{kind}.png" for name in ("a", "b", "trip/c") for kind in ("map", "overlay")
    )


def test_outcomes_come_in_the_order_of_the_photos_whoever_is_first_done(predict, many, tmp_path):
    outcomes = predict(many, tmp_path / "out", workers=4)
    assert names(outcomes) == [f"{number:02}" for number in range(24)]


def test_a_broken_photo_is_named_and_the_others_are_done(predict, photos, tmp_path):
    whole = (photos / "a.JPG").read_bytes()
    (photos / "aa.jpg").write_bytes(whole[: len(whole) // 2])
    for size in (1, 4):  # by itself, and in the middle of a batch
        outcomes = predict(photos, tmp_path / f"out{size}", batch_size=size)
        assert [record is None for record in records(outcomes)] == [False, True, False, False]
        assert "aa.jpg" in outcomes[1].entry.error


def test_records_after_a_broken_photo_belong_to_their_photos(predict, predictor, photos, tmp_path):
    (photos / "aa.jpg").write_bytes(b"")
    rows = filter(None, records(predict(photos, tmp_path / "out", batch_size=4)))
    for row in rows:
        assert row.score == pytest.approx(predictor.predict(row.image).score, abs=1e-4)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("absent", "does not exist"),
        ("link.png", "symbolic links"),
        ("pipe", "should be a file, not a folder or device"),
    ],
)
def test_what_is_no_file_is_a_failure_and_not_waited_for(predict, photos, tmp_path, target, reason):
    os.mkfifo(tmp_path / "pipe")
    (photos / "link.png").symlink_to(target if target == "link.png" else tmp_path / target)
    outcomes = predict(photos, tmp_path / "out")
    assert [outcome.photo.name for outcome in outcomes] == ["a", "b", "link", "trip/c"]
    assert [outcome.entry.error is None for outcome in outcomes] == [True, True, False, True]
    assert reason in outcomes[2].entry.error


def test_a_name_too_long_for_its_results_is_that_photos_failure(predict, photos, tmp_path):
    long = "x" * 250 + ".png"
    (photos / "b.png").rename(photos / long)
    outcomes = predict(photos, tmp_path / "out")
    assert [record is None for record in records(outcomes)] == [False, False, True]
    assert "too long" in outcomes[2].entry.error.lower()


def test_what_nobody_foresaw_in_one_photo_does_not_stop_the_others(
    predict, photos, tmp_path, monkeypatch
):
    to_record = pipeline.to_record

    def stumble(image, prediction, pixels):
        if prediction.image_size[0] == 13:
            raise ZeroDivisionError("odd")
        return to_record(image, prediction, pixels)

    Image.new("RGB", (20, 13)).save(photos / "aa.png")
    monkeypatch.setattr(pipeline, "to_record", stumble)
    outcomes = predict(photos, tmp_path / "out")
    assert [outcome.entry.error is None for outcome in outcomes] == [True, False, True, True]
    assert outcomes[1].entry.error.endswith("cannot be predicted: ZeroDivisionError: odd")


def test_batches_give_the_numbers_of_single_photos(predict, photos, tmp_path):
    alone, together = (
        [record.score for record in records(predict(photos, tmp_path / f"{n}", batch_size=n))]
        for n in (1, 3)
    )
    assert together == pytest.approx(alone, abs=1e-4)
    assert len({round(score, 4) for score in alone}) == 3  # or equal numbers would prove nothing


def test_workers_change_nothing_by_a_bit(predict, many, tmp_path, everything_below):
    one = predict(many, tmp_path / "one")
    four = predict(many, tmp_path / "four", workers=4)
    assert records(one) == records(four)
    assert everything_below(tmp_path / "one") == everything_below(tmp_path / "four")


def test_copies_of_one_photo_have_results_of_their_own(predict, photos, tmp_path):
    (photos / "copy.png").write_bytes((photos / "b.png").read_bytes())
    rows = {row.image.split("/")[-1]: row for row in records(predict(photos, tmp_path / "out"))}
    assert rows["copy.png"].score == rows["b.png"].score
    assert rows["copy.png"].map != rows["b.png"].map


def test_no_more_photos_are_taken_than_are_in_work(predictor, many, tmp_path):
    photos = find_photos([str(many)])
    taken = []

    def take():
        for photo in photos:
            taken.append(photo)
            yield photo

    with Journal(tmp_path / "out", "me") as journal:
        outcomes = predict_files(predictor, take(), journal, workers=2)
        next(outcomes)
        assert len(taken) < len(photos)
        outcomes.close()


def test_what_is_done_is_not_made_again(predict, photos, tmp_path):
    out = tmp_path / "out"
    first = predict(photos, out)
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    again = predict(photos, out)
    assert records(again) == records(first)
    assert all(outcome.resumed for outcome in again)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == made


def redone(outcomes):
    return [outcome.photo.name for outcome in outcomes if not outcome.resumed]


def test_other_content_is_predicted_even_where_size_and_time_are_the_same(
    predict, photos, tmp_path
):
    colours = ("red", "blue")
    contents = []
    for colour in colours:
        Image.new("RGB", (40, 40), colour).save(photos / "b.png", compress_level=0)
        contents.append((photos / "b.png").read_bytes())
    assert len(contents[0]) == len(contents[1])
    for content in contents:
        (photos / "b.png").write_bytes(content)
        os.utime(photos / "b.png", ns=(0, 0))
        outcomes = predict(photos, tmp_path / "out")
    assert redone(outcomes) == ["b"]


def test_another_fingerprint_makes_everything_again(predict, photos, tmp_path):
    predict(photos, tmp_path / "out", made_by="these weights")
    assert len(redone(predict(photos, tmp_path / "out", made_by="others"))) == 3


def test_a_picture_that_is_gone_is_made_again(predict, photos, tmp_path, everything_below):
    predict(photos, tmp_path / "out")
    before = everything_below(tmp_path / "out")
    (tmp_path / "out" / "b.map.png").unlink()
    assert redone(predict(photos, tmp_path / "out")) == ["b"]
    assert everything_below(tmp_path / "out") == before


def test_a_photo_that_was_broken_is_tried_again(predict, photos, tmp_path):
    whole = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(whole[:100])
    predict(photos, tmp_path / "out")
    (photos / "b.png").write_bytes(whole)
    outcomes = predict(photos, tmp_path / "out")
    assert redone(outcomes) == ["b"]
    assert all(records(outcomes))


def test_a_folder_that_has_moved_is_done_and_recorded_where_it_is(predict, photos, tmp_path):
    predict(photos, tmp_path / "out")
    photos.rename(tmp_path / "elsewhere")
    outcomes = predict(tmp_path / "elsewhere", tmp_path / "out")
    assert redone(outcomes) == []
    with Journal(tmp_path / "out", "these weights") as journal:
        for entry in journal.entries():
            assert entry.image == entry.record.image
            assert entry.image.startswith(str(tmp_path / "elsewhere"))


def test_a_stop_finishes_what_is_begun_and_begins_nothing(predictor, many, tmp_path, monkeypatch):
    photos = find_photos([str(many)])
    stopped = threading.Event()
    prepare = predictor.prepare

    begun = []

    def wait_behind_the_first(path, **options):
        begun.append(path.stem)
        if path.stem != "00":
            stopped.wait()
            time.sleep(0.3)  # so that the others are called off before this one is done
        return prepare(path, **options)

    monkeypatch.setattr(predictor, "prepare", wait_behind_the_first)
    seen = []
    with Journal(tmp_path / "out", "me") as journal:
        for outcome in predict_files(predictor, photos, journal, is_stopping=stopped.is_set):
            stopped.set()
            assert outcome.entry.error is None
            seen.append(outcome.photo.name)
        assert [entry.name for entry in journal.entries()] == seen
    assert seen == sorted(begun)  # threads may have begun more before the first one came out
    assert len(seen) < len(photos) / 2


def test_a_full_disk_is_one_error_and_the_next_run_goes_on(
    predict, many, tmp_path, files_of_at_most, everything_below
):
    (many / "00.png").rename(many / "12x.png")  # the one whose pictures will not fit
    predict(many, tmp_path / "whole")
    with files_of_at_most(40_000), pytest.raises(SaliencyError, match="too large") as raised:
        predict(many, tmp_path / "out", workers=2)
    assert "kept" in str(raised.value)
    assert not list((tmp_path / "out").rglob(".*.tmp"))
    with Journal(tmp_path / "out", "these weights") as journal:
        done = {entry.name for entry in journal.entries()}
    assert "12" in done
    assert "12x" not in done
    outcomes = predict(many, tmp_path / "out")
    assert done == {outcome.photo.name for outcome in outcomes if outcome.resumed}
    assert everything_below(tmp_path / "out") == everything_below(tmp_path / "whole")


def test_crops_of_a_network_without_a_saliency_head_are_failures(photos, tmp_path):
    network = SaliencyNetwork(
        Architecture("test_efficientnet", saliency=False, guidance=False, decoder_channels=8)
    )
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    predictor = Predictor(Checkpoint(network, preprocessing, Card()), "cpu")
    pictures = Pictures(crops=(AspectRatio.parse("1:1"),))
    with Journal(tmp_path / "out", "me") as journal:
        for outcome in predict_files(predictor, find_photos([str(photos)]), journal, pictures):
            assert "saliency head" in outcome.entry.error
