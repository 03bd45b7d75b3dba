import json

import pytest

from saliency.checkpoint import to_sha256

SHORT = ("--photo-size", "0.05", "--photo-size", "0.5", "--batch-size", "1", "--seconds", "0.01")


@pytest.fixture(scope="module")
def measured(saliency_process, tiny_weights, tmp_path_factory):
    """A short run on a tiny network: how it ended, and its JSON."""
    folder = tmp_path_factory.mktemp("bench")
    ended = saliency_process(
        "bench", "--backend", "torch", *SHORT, "-w", tiny_weights,
        "--json", folder / "bench.json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return ended, json.loads((folder / "bench.json").read_text())


@pytest.mark.slow
def test_tables_go_to_stdout_whole_and_progress_to_stderr(measured):
    ended, _ = measured

    assert "Cost of a photo" in ended.out
    assert "predict_many" in ended.out
    assert "…" not in ended.out  # nothing is cut off at 80 columns
    assert "rounds" in ended.err
    assert "rounds" not in ended.err.replace(" of 5 rounds", "")


@pytest.mark.slow
def test_every_stage_is_measured_for_every_photo(measured):
    _, saved = measured
    stages = {(row["stage"], row["megapixels"]) for row in saved["measurements"]}

    for size in (0.05, 0.5):
        for stage in ("decode", "prepare", "preprocess", "to_prediction", "density", "render"):
            assert (stage, size) in stages
        assert ("predict_many", size) in stages
    assert {row["backend"] for row in saved["measurements"] if row["stage"] == "forward"} == {
        "eager",
        "torch",
    }


@pytest.mark.slow
def test_json_says_what_was_measured_on_what(measured, tiny_weights):
    _, saved = measured

    assert saved["schema"] == 2
    assert saved["weights"]["sha256"] == to_sha256(tiny_weights)
    assert saved["machine"]["cores"] >= 1
    assert saved["machine"]["cpu"]
    assert "torch" in saved["machine"]["packages"]


@pytest.mark.slow
def test_ratios_have_the_names_that_a_baseline_needs(measured):
    _, saved = measured
    names = {ratio["name"] for ratio in saved["ratios"]}

    assert {
        "forward torch, batch 1 / eager",
        "prepare 0.5 MP / bare decode",
        "predict_many torch, 0.5 MP / ceiling",
    } <= names


@pytest.mark.slow
def test_memory_is_that_of_a_process_that_predicts(measured):
    _, saved = measured
    peaks = [row["ram_bytes"] for row in saved["memory"]]

    assert len(peaks) == 2
    if None not in peaks:  # elsewhere than on Linux
        assert 50e6 < peaks[0] <= peaks[1] < 8e9


@pytest.mark.slow
def test_what_got_worse_is_named_and_ends_with_1(saliency, measured, tiny_weights, tmp_path):
    _, saved = measured
    for ratio in saved["ratios"]:  # of a machine on which all was much better
        for field in ("value", "low", "high"):
            ratio[field] /= 100
    (tmp_path / "old.json").write_text(json.dumps(saved))

    ended = saliency(
        "bench",
        "--backend",
        "torch",
        *SHORT,
        "-w",
        tiny_weights,
        "--against",
        tmp_path / "old.json",
    )

    assert ended.code == 1
    worse = [line for line in ended.out.splitlines() if line.startswith("worse by")]
    assert len(worse) == len(saved["ratios"])
    assert any("forward torch, batch 1 / eager" in line for line in worse)


def test_bad_baseline_is_an_error_before_anything_is_measured(saliency, tmp_path):
    (tmp_path / "other.json").write_text("{}")

    ended = saliency("bench", "--against", tmp_path / "other.json")

    assert ended.code == 1
    assert "saliency bench --json" in ended.err
    assert "rounds" not in ended.err


def test_backend_that_does_not_go_is_an_error(saliency, tiny_weights):
    ended = saliency("bench", "--backend", "onnx", "-w", tiny_weights)

    assert ended.code == 1
    assert "saliency export" in ended.err


def test_unknown_backend_is_an_error(saliency, tiny_weights):
    ended = saliency("bench", "--backend", "tensorflow", "-w", tiny_weights)

    assert ended.code == 1
    assert "`backend` should be one of" in ended.err
