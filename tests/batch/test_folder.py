"""`predict_folder`: the whole job as a function that yields events."""

import pytest
from PIL import Image

from saliency import SaliencyError
from saliency.batch import (
    Finished,
    Found,
    PassedOver,
    PhotoDone,
    PhotoFailed,
    PhotosFound,
    PhotoSkipped,
    Pictures,
    ReportProgress,
    Started,
    predict_folder,
    read_entries,
)

NOTHING = Pictures("none", map="none")


@pytest.fixture
def run(photos, tmp_path, tiny_weights):
    """Return a function that predicts the folder `photos` and returns the events."""

    def run(**options):
        options = {"weights": tiny_weights, "device": "cpu", "pictures": NOTHING} | options
        return list(predict_folder(photos, tmp_path / "out", **options))

    return run


def kinds(events):
    return [type(event) for event in events]


def test_every_photo_is_an_event_between_the_start_and_the_end(run, photos, tmp_path):
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    events = run()
    done = [PhotoDone, PhotoDone, PhotoFailed, PhotoDone]
    assert kinds(events) == [Started, PhotosFound, *done, Finished]
    assert events[1].total == 4
    assert events[4].image == str(photos / "broken.png")
    assert "broken.png cannot be decoded" in events[4].error
    records = [event.record for event in events if isinstance(event, PhotoDone)]
    assert records == [e.record for e in read_entries(str(tmp_path / "out")) if e.record]


def test_the_end_says_what_became_of_all(run, photos, tmp_path):
    (photos / "broken.png").touch()
    *_, finished = run()
    assert finished == Finished(
        out_dir=tmp_path / "out",
        table=tmp_path / "out" / "predictions.jsonl",
        report=None,
        total=4,
        done=3,
        skipped=0,
        failed=1,
        left=0,
        passed_over="1 .txt, 1 hidden",
    )


def test_what_was_done_before_is_skipped_with_its_record(run):
    first, second = run(), run()
    assert kinds(second[2:5]) == [PhotoSkipped] * 3
    assert [e.record for e in second[2:5]] == [e.record for e in first[2:5]]
    assert second[-1].skipped == 3


def test_a_report_is_told_photo_by_photo(run, tmp_path):
    *_, first, second, third, finished = run(report=True)
    assert [first, second, third] == [ReportProgress(done, 3) for done in (1, 2, 3)]
    assert finished.report == tmp_path / "out" / "report.html"
    assert "report.html" in {path.name for path in (tmp_path / "out").iterdir()}


def test_a_stop_leaves_the_rest(run, photos):
    for number in range(20):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(photos / f"z{number:02}.png")
    stopping = iter([False, False])
    *_, finished = run(workers=1, is_stopping=lambda: next(stopping, True))
    assert finished.left > 0
    assert finished.done + finished.left == finished.total == 23


def test_a_watched_photo_that_is_damaged_later_counts_once(run, photos, monkeypatch):
    class Writer:
        passed_over = PassedOver()
        polls = 0

        def __init__(self, sources):
            pass

        def poll(self):
            Writer.polls += 1
            if Writer.polls == 2:
                (photos / "b.png").write_bytes(b"")
            return [Found(str(photos / "b.png"), "b.png")] if Writer.polls < 3 else []

    monkeypatch.setattr("saliency.batch.folder.Watcher", Writer)
    monkeypatch.setattr("saliency.batch.folder.POLL_S", 0)
    *_, finished = run(watch=True, is_stopping=lambda: Writer.polls == 3)
    assert (finished.total, finished.done, finished.failed) == (1, 0, 1)


def test_whoever_stops_asking_keeps_what_was_done(photos, tmp_path, tiny_weights):
    events = predict_folder([str(photos)], tmp_path / "out", weights=tiny_weights, workers=1)
    next(event for event in events if isinstance(event, PhotoDone))
    events.close()
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == 1
    assert len(list(read_entries(tmp_path / "out"))) == 1


def test_nothing_is_done_before_the_first_event_is_asked_for(photos, tmp_path, tiny_weights):
    predict_folder(photos, tmp_path / "out", weights=tiny_weights)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("result", ["b.map.png", "b.overlay.png", "trip/c.map.png"])
def test_a_photo_that_is_named_like_a_result_is_not_replaced(photos, tiny_weights, result):
    Image.new("RGB", (40, 30), "teal").save(photos / result)
    before = (photos / result).read_bytes()
    options = {"weights": tiny_weights, "device": "cpu"}
    for _ in range(2):
        *_, finished = predict_folder(photos, photos, **options)
        assert (photos / result).read_bytes() == before
        assert finished.done == 4


def test_a_source_that_names_nothing_is_an_error(tmp_path, tiny_weights):
    with pytest.raises(SaliencyError, match="absent"):
        next(predict_folder(tmp_path / "absent", tmp_path / "out", weights=tiny_weights))
