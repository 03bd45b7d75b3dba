"""A real Ray with two workers, in processes of its own, against the local engine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from saliency.batch.journal import JOURNAL_NAME
from saliency.datasets import DrawnDataset
from saliency.errors import BusyError
from saliency.locks import hold_folder

pytest.importorskip("ray")

PHOTOS = 64
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
ON_RAY = ("--engine", "ray", "--workers", "2")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos in two folders, one of them broken, one with a name that is not UTF-8."""
    folder = tmp_path_factory.mktemp("photos")
    for number, sample in enumerate(DrawnDataset(PHOTOS, seed=0)):
        path = folder / f"trip{number % 2}" / f"{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(sample.image).resize((1500, 1000)).save(path)
    (folder / "trip0" / "20.jpg").write_bytes((folder / "trip0" / "20.jpg").read_bytes()[:5000])
    (folder / "trip1" / "21.jpg").rename(folder / "trip1" / os.fsdecode(b"\xe9t\xe9.jpg"))
    return folder


@pytest.fixture(scope="module")
def command(tiny_weights):
    """Return a function: sources, output folder and options -> the command line."""

    def build(*arguments):
        words = [sys.executable, "-m", "saliency", "predict", "-w", tiny_weights, *arguments]
        return list(map(str, words))

    return build


@pytest.fixture(scope="module")
def local(command, photos, tmp_path_factory, everything_below):
    """The results of the local engine."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert finish(command(photos, "-o", out)).returncode == 1  # for the broken one
    return everything_below(out)


def start(words, **environment):
    return subprocess.Popen(
        words,
        env={**ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
    )


def finish(words, **environment):
    process = start(words, **environment)
    out, err = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def wait_until_done(process, out, count):
    journal = out / JOURNAL_NAME
    while not journal.exists() or journal.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def find_workers(driver):
    """Return the processes of the actors below a driver."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
            names[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    below = {driver}
    for _ in range(5):  # generations
        below |= {process for process, parent in parents.items() if parent in below}
    return [process for process in below if names.get(process, "").startswith("ray::MapWorker")]


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_no_result(
    command, photos, local, tmp_path, everything_below
):
    words = command(photos, "-o", tmp_path, *ON_RAY)
    process = start(words)
    wait_until_done(process, tmp_path, 1)
    workers = find_workers(process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 1, err
    assert out.count("\n") == PHOTOS - 1  # a line a score; Ray's words of the worker are no result
    assert "worker died" in err
    assert f"{PHOTOS - 1} of {PHOTOS} photos predicted" in err
    assert "Traceback" not in err
    results = everything_below(tmp_path)
    assert results["predictions.jsonl"].splitlines() == local["predictions.jsonl"].splitlines()
    assert results == local

    again = finish(words)
    assert f"{PHOTOS - 1} were done before" in again.stderr
    assert everything_below(tmp_path) == local


POISON = """
import os, signal, sys
def die(event, arguments):
    if event == "open" and str(arguments[0]).endswith("trip0/30.jpg"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
"""


@pytest.mark.slow
def test_a_photo_that_kills_every_worker_is_a_failure_and_the_others_are_done(
    command, photos, local, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(POISON)
    out = tmp_path / "out"
    ended = finish(command(photos, "-o", out, *ON_RAY), PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1
    failures = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    assert [Path(failure["image"]).name for failure in failures] == ["20.jpg", "30.jpg"]
    assert failures[1]["error"].endswith(
        "30.jpg cannot be predicted: 2 workers died with it alone."
    )
    rows = (out / "predictions.jsonl").read_bytes().splitlines()
    expected = local["predictions.jsonl"].splitlines()
    assert rows == [row for row in expected if b"/30.jpg" not in row]


@pytest.mark.slow
def test_ctrl_c_leaves_whole_photos_and_the_local_engine_goes_on(
    command, photos, local, tmp_path, everything_below
):
    process = start(command(photos, "-o", tmp_path, *ON_RAY))
    wait_until_done(process, tmp_path, 1)
    with pytest.raises(BusyError, match=f"process {process.pid} on"), hold_folder(tmp_path):
        pass
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "run the same command again to continue" in err
    files = everything_below(tmp_path)
    rows = files.pop("predictions.jsonl").splitlines()
    assert 0 < len(rows) < PHOTOS - 1
    assert len([name for name in files if name.endswith(".png")]) == 2 * len(rows)
    assert not [name for name in files if name.endswith(".tmp")]

    ended = finish(command(photos, "-o", tmp_path))
    assert f"{len(rows)} were done before" in ended.stderr
    assert everything_below(tmp_path) == local


@pytest.mark.slow
def test_no_cluster_at_the_address_is_one_line(command, photos, tmp_path):
    ended = finish(
        command(photos, "-o", tmp_path, "--engine", "ray", "--ray-address", "127.0.0.1:1")
    )
    assert ended.returncode == 1
    error = ended.stderr.splitlines()[-1]
    assert error.startswith("error: `--ray-address` should be that of a running cluster")
    assert "Traceback" not in ended.stderr


def test_ray_reports_no_use_unless_asked_to():
    code = """
import saliency.batch.ray_engine
from ray._common.usage.usage_lib import usage_stats_enabled
print(usage_stats_enabled())
"""
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "RAY_USAGE_STATS_ENABLED"}
    for asked, enabled in (({}, "False"), ({"RAY_USAGE_STATS_ENABLED": "1"}, "True")):
        words = [sys.executable, "-c", code]
        out = subprocess.check_output(words, env=environment | asked, text=True)
        assert out.strip() == enabled
