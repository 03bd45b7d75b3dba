import io
import json

import pytest
from rich.console import Console

from saliency.devices import count_cores
from saliency.training.growth import Decision
from saliency.training.report import TENSORBOARD_EVERY, Reporter, Silence

METRICS = {"looked": {"CC": 0.5, "SIM": 0.25}, "rated": {"SRCC": 0.75}}
GAPS = {"saliency": 0.125}
SPLIT = Decision(
    1, 32, True, (("looks",), ("mood", "age")), {"looks~mood": 0.25}, ((0, 0, 0), (0, 1, 1))
)


@pytest.fixture
def text():
    return io.StringIO()


@pytest.fixture
def reporter(tmp_path, text):
    return Reporter(tmp_path, Console(file=text, width=200))


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_validated_epoch_is_a_row(tmp_path, reporter, tiny_config):
    with reporter:
        reporter.start(tiny_config(), total_steps=8, step=0)
        reporter.epoch(1, 4, {"loss": 2.0}, METRICS, 0.625, GAPS)
    assert rows(tmp_path) == [
        {
            "epoch": 1,
            "step": 4,
            "train": {"loss": 2.0},
            "val": METRICS,
            "score": 0.625,
            "gap": GAPS,
        }
    ]


def test_rows_of_a_resumed_run_follow_the_earlier_ones(tmp_path, tiny_config):
    for epoch in (1, 2):
        with Reporter(tmp_path) as reporter:
            reporter.start(tiny_config(), total_steps=8, step=4 * (epoch - 1))
            reporter.epoch(epoch, 4 * epoch, {}, METRICS, 0.5, GAPS)
    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2]


def test_an_epoch_shows_its_metrics(reporter, text, tiny_config):
    with reporter:
        reporter.start(tiny_config(), total_steps=8, step=0)
        reporter.epoch(1, 4, {"loss/saliency": 2.0}, METRICS, 0.625, GAPS)
    shown = text.getvalue()
    for words in ("epoch 1", "score 0.6250", "looked CC 0.500", "SRCC 0.750", "saliency 2.0000"):
        assert words in shown


def test_a_split_shows_the_groups_and_what_they_agree_on(tmp_path, reporter, text, tiny_config):
    with reporter:
        reporter.start(tiny_config(), total_steps=8, step=0)
        reporter.split(SPLIT, 4)
    assert "epoch 1  sharing at final features: looks | mood, age" in text.getvalue()
    assert "looks~mood 0.250" in text.getvalue()
    (row,) = [json.loads(line) for line in (tmp_path / "splits.jsonl").read_text().splitlines()]
    assert row["tree"] == [[0, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize(
    ("waiting", "workers", "warns"),
    [(0.04, 0, False), (0.43, 0, True), (0.43, count_cores(), False)],
)
def test_a_network_that_waits_for_data_is_told_what_helps(
    reporter, text, tiny_config, waiting, workers, warns
):
    with reporter:
        reporter.start(tiny_config(), total_steps=8, step=0)
        reporter.speed(1, 4, images_per_s=123.4, waiting=waiting, workers=workers)
    assert f"epoch 1  123.4 images/s, {waiting:.0%} of the time waiting for data" in text.getvalue()
    assert ("raise data.workers (now 0)" in text.getvalue()) == warns


def test_labelling_by_teachers_says_how_far_it_is(reporter, text):
    for done in range(1, 4):
        reporter.labelled("photos", done, 3)
    assert text.getvalue().splitlines() == [
        "photos: 1 of 3 images labelled by teachers",
        "photos: 3 of 3 images labelled by teachers",
    ]


def test_silence_leaves_nothing(tmp_path, capsys, tiny_config):
    with Silence(tmp_path) as reporter:
        reporter.labelled("photos", 1, 1)
        reporter.start(tiny_config(), total_steps=8, step=0)
        reporter.step(TENSORBOARD_EVERY, {"loss": 1.0})
        reporter.speed(1, 4, 123.4, 0.5, 0)
        reporter.epoch(1, 4, {}, METRICS, 0.5, GAPS)
        reporter.split(SPLIT, 4)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_a_run_that_goes_on_says_from_where(reporter, text, tiny_config):
    with reporter:
        reporter.start(tiny_config(), total_steps=8, step=5)
    assert "continuing from step 5" in text.getvalue()


def test_without_a_console_nothing_is_shown(tmp_path, capsys, tiny_config):
    with Reporter(tmp_path) as reporter:
        reporter.start(tiny_config(), total_steps=8, step=0)
        reporter.step(1, {"loss": 1.0})
        reporter.epoch(1, 4, {}, METRICS, 0.5, GAPS)
    assert capsys.readouterr() == ("", "")


def test_tensorboard_receives_losses_and_metrics(tmp_path, tiny_config):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Reporter(tmp_path) as reporter:
        reporter.start(tiny_config(), total_steps=40, step=0)
        reporter.step(TENSORBOARD_EVERY, {"loss": 1.5})
        reporter.epoch(1, TENSORBOARD_EVERY, {}, METRICS, 0.5, GAPS)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("train/loss")] == [1.5]
    assert [event.value for event in events.Scalars("val/rated/SRCC")] == [0.75]
