"""A recipe is trained; its checkpoint is described and measured, each by its verb."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saliency.checkpoint import to_sha256
from saliency.locks import LOCK_NAME

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "data" / "recipes" / "smoke.toml"


@pytest.fixture(scope="module")
def trained(saliency_process, tmp_path_factory):
    """How one epoch of the smoke recipe ended, and the folder of its run."""
    run_dir = tmp_path_factory.mktemp("run") / "smoke [a]"  # brackets are rich's markup
    ended = saliency_process(
        "train", SMOKE, "-o", run_dir, "-s", "train.epochs=1", "-s", "data.sets.0.count=48"
    )
    return ended, run_dir


@pytest.fixture
def weights(trained):
    return trained[1] / "best.safetensors"


def test_training_ends_well(trained):
    assert trained[0].code == 0, trained[0].err


def test_the_checkpoint_to_use_goes_to_stdout(trained):
    ended, run_dir = trained
    assert ended.out.startswith(f"{run_dir / 'best.safetensors'}  validation score ")
    assert ended.out.count("\n") == 1


def test_progress_goes_to_stderr(trained):
    ended, run_dir = trained
    assert "test_efficientnet: 1 epochs" in ended.err
    assert f"run in {run_dir}\n" in ended.err
    assert "epoch 1  score" in ended.err


def test_the_same_command_again_has_nothing_to_do(trained, saliency):
    arguments = ("-s", "train.epochs=1", "-s", "data.sets.0.count=48")
    again = saliency("train", SMOKE, "-o", trained[1], *arguments)
    assert (again.code, again.out) == (0, trained[0].out)


def test_another_recipe_in_the_same_folder_is_one_line(trained, saliency):
    ended = saliency("train", SMOKE, "-o", trained[1])
    assert (ended.code, ended.out) == (1, "")
    assert "a run of this config" in ended.err
    assert ended.err.count("\n") == 1


def test_info_says_what_it_is(weights, saliency):
    ended = saliency("info", weights)
    assert (ended.code, ended.err) == (0, "")
    for words in ("test_efficientnet", "saliency, aesthetics", "96x128", to_sha256(weights)):
        assert words in ended.out


def test_info_tells_programs_everything(weights, saliency):
    everything = json.loads(saliency("info", weights, "--json").out)
    assert everything["sha256"] == to_sha256(weights)
    assert everything["architecture"]["encoder"] == "test_efficientnet"
    assert everything["preprocessing"]["height"] == 96
    assert everything["card"]["config"]["train"]["epochs"] == 1
    assert everything["card"]["metrics"]["drawn-fixations"]["CC"] > 0


def evaluate(saliency, weights, *arguments):
    return saliency(
        "evaluate", SMOKE, "-w", weights, "--only", "drawn-ratings", "--no-center-bias", *arguments
    )


def test_evaluate_tells_programs_every_metric(weights, saliency):
    ended = evaluate(saliency, weights, "--json")
    (result,) = json.loads(ended.out)["network"]
    assert (result["name"], result["images"], result["skipped"]) == ("drawn-ratings", 64, [])
    low, high = result["measures"]["SRCC"]["interval"]
    assert low <= result["measures"]["SRCC"]["value"] <= high


def test_a_table_in_a_pipe_is_not_cut_short(weights, saliency):
    ended = evaluate(saliency, weights)
    assert "…" not in ended.out
    words = ("drawn-ra", "NSS", "CC", "KLDiv", "SIM", "sAUC", "SRCC", "PLCC", "accuracy", "EMD")
    assert all(word in ended.out for word in words)


def test_an_evaluation_passes_over_what_trains_only(weights, saliency, tmp_path):
    split = tmp_path / "all.csv"
    split.write_text("image,part\none.jpg,train\n")
    of_fixations = ("-s", f"data.sets.drawn-fixations.split={split}")
    ended = saliency("evaluate", SMOKE, "-w", weights, "--spoilt", "0", "--json", *of_fixations)
    assert [result["name"] for result in json.loads(ended.out)["network"]] == ["drawn-ratings"]


def test_an_evaluation_of_an_unknown_set_names_the_known(weights, saliency):
    ended = saliency("evaluate", SMOKE, "-w", weights, "--only", "salicon")
    assert ended.code == 1
    assert "drawn-fixations, drawn-ratings. Found 'salicon'" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent.toml",), "Found no absent.toml"),
        ((SMOKE, "-s", "train.epoch=1"), "`train.epoch`"),
        ((SMOKE, "-s", "epochs"), "section.key=value"),
        ((SMOKE, "-d", "tpu"), "Found 'tpu'"),
        ((SMOKE, "-s", 'data.sets=[{name="a",layout="osie"}]'), "--data"),
        ((SMOKE, "-s", 'data.sets=[{name="a",layout="osie"}]', "--data", "/absent"), "/absent/a"),
    ],
)
def test_what_is_wrong_with_a_run_is_one_line(saliency, tmp_path, arguments, words):
    ended = saliency("train", *arguments, "-o", tmp_path / "run")
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.slow
def test_without_network_it_says_which_weights_to_bring(saliency_process, tmp_path):
    arguments = ("-s", "model.pretrained=true", "-s", "model.encoder=tf_efficientnet_lite0")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    ended = saliency_process("train", SMOKE, "-o", tmp_path / "run", *arguments, **offline)
    assert (ended.code, ended.out) == (1, "")
    assert "error: `encoder_weights` should name a copy of the ImageNet weights" in ended.err
    assert "from timm/tf_efficientnet_lite0.in1k" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_ctrl_c_before_the_first_step_is_one_line(tmp_path):
    command = [sys.executable, "-m", "saliency", "train", SMOKE, "-o", tmp_path / "run"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has Ctrl-C ignored, which would be inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    lock = tmp_path / "run" / LOCK_NAME
    while not (lock.exists() and lock.stat().st_size):  # else it has no folder yet
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    message = "stopped at once; run the same command again to continue from the last save\n"
    assert told == message
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path):
    command = [sys.executable, "-m", "saliency", "train", SMOKE, "-o", tmp_path / "run"]
    command += ["-s", "train.epochs=3"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=-1, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 1"):
            process.send_signal(signal.SIGINT)
            break
    assert "run the same command again" in process.stderr.read()
    process.stderr.close()
    assert process.wait() == 130
    again = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0
    assert "continuing from step" in again.stderr
