"""Two real processes that write into one folder, for each verb: the second ends with one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from saliency.locks import LOCK_NAME

pytestmark = pytest.mark.slow  # every test starts processes

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
ENVIRONMENT.pop("SALIENCY_DATA", None)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

STUDY = """
about = "Small"
base = "recipe.toml"
repetitions = 1
folds = [1]
[[arms]]
name = "alone"
about = "one task"
[[comparisons]]
question = "Does it help?"
arm = "alone"
against = "alone"
"""


@pytest.fixture
def recipe(tiny_toml, tmp_path):
    """A recipe that takes long, read by two processes."""
    path = tmp_path / "recipe.toml"
    long = tiny_toml.read_text().replace("epochs = 2", "epochs = 1000")
    path.write_text(long.replace("[data]", "[data]\nworkers = 2"))
    return path


@pytest.fixture
def running():
    """Return a function that starts a command and waits until it is at work in a folder."""
    processes = []

    def start(words, is_at_work):
        process = subprocess.Popen(
            list(map(str, words)),
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        while not is_at_work():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # killed, it would leave processes of its own
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def saliency(*words):
    return [sys.executable, "-m", "saliency", *map(str, words)]


def finish(words):
    return subprocess.run(
        list(map(str, words)), env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def assert_kept_out(words, folder, other, verb):
    """Check that a command ends in one line that names the folder, the other and what to do."""
    ended = finish(words)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    line = ended.stderr.splitlines()[-1]
    start = f"error: {folder} should be used by one run at a time. Found another in it: "
    assert line.startswith(f"{start}`saliency {verb} ")
    assert f"process {other.pid} on" in line
    assert "name another folder with -o" in line


class TestPredict:
    @pytest.fixture
    def photos(self, tmp_path):
        folder = tmp_path / "photos"
        folder.mkdir()
        Image.effect_noise((900, 600), 60).convert("RGB").save(folder / "0.jpg")
        return folder

    @pytest.mark.parametrize("watch", [(), ("--watch",)], ids=["once", "watching"])
    def test_keeps_the_other_out(self, tiny_weights, photos, tmp_path, running, watch):
        out = tmp_path / "out"
        words = saliency("predict", photos, "-w", tiny_weights, "-o", out)
        first = running([*words, "--watch"], lambda: (out / "predictions.jsonl").exists())
        before = (out / "predictions.jsonl").read_bytes()
        assert_kept_out([*words, *watch], out, first, "predict")
        assert_kept_out([*words, *watch, "--no-resume"], out, first, "predict")
        shutil.copy(photos / "0.jpg", photos / "1.jpg")  # the first goes on as if nothing was
        while (out / "predictions.jsonl").read_bytes() == before:
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGINT)
        first.communicate()
        assert first.returncode == 0
        rows = [json.loads(row) for row in (out / "predictions.jsonl").read_text().splitlines()]
        assert [Path(row["image"]).name for row in rows] == ["0.jpg", "1.jpg"]
        assert not (out / LOCK_NAME).exists()

    def test_goes_on_behind_one_that_was_killed(self, tiny_weights, photos, tmp_path, running):
        out = tmp_path / "out"
        words = saliency("predict", photos, "-w", tiny_weights, "-o", out)
        first = running([*words, "--watch"], lambda: (out / "predictions.jsonl").exists())
        first.kill()
        first.wait()
        ended = finish(words)
        assert ended.returncode == 0
        assert "1 were done before" in ended.stderr


class TestTrain:
    def test_keeps_the_other_out_and_a_killed_one_does_not(self, recipe, tmp_path, running):
        run = tmp_path / "run"
        words = saliency("train", recipe, "-o", run, "--device", "cpu")
        first = running(words, lambda: (run / "state.safetensors").exists())
        assert_kept_out(words, run, first, "train")
        first.kill()  # its loader processes live on for a while
        first.wait()
        saved = (run / "state.safetensors").stat().st_mtime_ns
        again = running(words, lambda: (run / "state.safetensors").stat().st_mtime_ns > saved)
        again.send_signal(signal.SIGTERM)
        _, told = again.communicate()
        assert again.returncode == 130
        assert "continuing from step" in told

    def test_processes_of_one_run_share_its_folder(self, recipe, tmp_path, running):
        run = tmp_path / "run"
        alone = saliency("train", recipe, "-o", run, "--device", "cpu")
        together = [*TORCHRUN, *alone[1:]]
        running(together, lambda: (run / "state.safetensors").exists())
        first = json.loads((run / LOCK_NAME).read_text())["process"]
        for words in (alone, together):
            ended = finish(words)
            assert ended.returncode == 1
            assert f"error: {run} should be used by one run at a time." in ended.stderr
            assert f"process {first} on" in ended.stderr


class TestAStudy:
    @pytest.fixture
    def words(self, recipe, tmp_path):
        (tmp_path / "study.toml").write_text(STUDY)
        return saliency("experiment", "ablation", tmp_path / "study.toml", "-o", tmp_path / "out")

    @pytest.fixture
    def first(self, words, tmp_path, running):
        """A study whose run has begun to save."""
        return running(words, lambda: find_state(tmp_path / "out"))

    def test_keeps_the_other_out_but_may_be_looked_at(self, words, first, tmp_path):
        assert_kept_out([*words, "--device", "cpu"], tmp_path / "out", first, "experiment ablation")
        looked = finish([*words, "--hours", "0"])
        assert (looked.returncode, looked.stderr) == (0, "0 of 1 runs are done\n")

    def test_takes_its_runs_along_when_it_is_killed(self, words, first, tmp_path, running):
        first.kill()
        first.communicate()  # its runs write to the same pipes
        state = find_state(tmp_path / "out")
        saved = state.stat().st_mtime_ns
        running(words, lambda: state.stat().st_mtime_ns > saved)
        (log,) = state.parent.glob("log.txt")
        assert "continuing from step" in log.read_text()


def find_state(folder):
    return next(folder.glob("runs/**/state.safetensors"), None)


def test_packing_keeps_the_other_out(tmp_path, running):
    folder = tmp_path / "data" / "own"
    (folder / "images").mkdir(parents=True)
    Image.effect_noise((1800, 1200), 60).convert("RGB").save(folder / "images" / "0.jpg")
    for number in range(1, 400):
        (folder / "images" / f"{number}.jpg").hardlink_to(folder / "images" / "0.jpg")
    rows = [f"{number}.jpg,{number % 7 + 1}" for number in range(400)]
    (folder / "ratings.csv").write_text("\n".join(["file,score", *rows]))
    recipe = tmp_path / "pack.toml"
    recipe.write_text('[data]\nsets = [{ name = "own", layout = "ratings" }]\n')
    words = saliency("data", "pack", recipe, "--data", tmp_path / "data", "-o", tmp_path / "out")
    out = tmp_path / "out" / "own"
    first = running(words, lambda: (out / "manifest.json").exists())
    assert_kept_out(words, out, first, "data pack")
    first.communicate()
    assert first.returncode == 0
