"""Real processes that are stopped, killed, or meet full disks and unreadable files."""

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from saliency.batch.journal import JOURNAL_NAME
from saliency.datasets import DrawnDataset

pytestmark = pytest.mark.slow  # every test starts processes

PHOTOS = 40
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photos that take a few hundredths of a second each, in two folders."""
    folder = tmp_path_factory.mktemp("photos")
    for number, sample in enumerate(DrawnDataset(PHOTOS, seed=0)):
        path = folder / f"trip{number % 2}" / f"{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(sample.image).resize((1500, 1000)).save(path)
    return folder


@pytest.fixture(scope="module")
def command(tiny_weights):
    """Return a function: sources, output folder and options -> the command line."""

    def build(*arguments):
        words = [sys.executable, "-m", "saliency", "predict", "-w", tiny_weights, *arguments]
        return list(map(str, words))

    return build


@pytest.fixture(scope="module")
def whole(command, photos, tmp_path_factory, everything_below):
    """The results of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "out"
    subprocess.run(command(photos, "-o", out), env=ENVIRONMENT, capture_output=True, check=True)
    return everything_below(out)


def wait_until(process, is_so):
    while not is_so():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)


def count_done(out):
    journal = out / JOURNAL_NAME
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def start(words):
    return subprocess.Popen(
        words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(words, **options):
    return subprocess.run(
        words, env=ENVIRONMENT, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.slow
def test_killed_again_and_again_the_results_are_those_of_one_run(
    command, photos, whole, tmp_path, everything_below
):
    for done in (3, 17, 25):
        process = start(command(photos, "-o", tmp_path))
        wait_until(process, lambda done=done: count_done(tmp_path) >= done)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert done <= count_done(tmp_path) < PHOTOS
    ended = finish(command(photos, "-o", tmp_path))
    assert ended.returncode == 0
    assert "were done before" in ended.stderr
    assert everything_below(tmp_path) == whole


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_table_of_what_is_done_and_no_halves(
    command, photos, whole, tmp_path, asked, everything_below
):
    process = start(command(photos, "-o", tmp_path))
    wait_until(process, lambda: count_done(tmp_path) >= 5)
    process.send_signal(asked)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "run the same command again" in err
    files = everything_below(tmp_path)
    rows = [json.loads(line) for line in files.pop("predictions.jsonl").splitlines()]
    assert 5 <= len(rows) == count_done(tmp_path) == out.count("\n") < PHOTOS
    assert files.keys() == {row[kind] for row in rows for kind in ("overlay", "map")}
    assert files.items() <= whole.items()


def test_a_full_disk_is_one_clear_line_and_the_next_run_goes_on(
    command, photos, whole, tmp_path, everything_below
):
    # A photo among small ones whose pictures do not fit, as when a disk fills up.
    sizes = {name: len(data) for name, data in whole.items() if name.endswith(".png")}
    limit = sorted(sizes.values())[-3]
    words = command(photos, "-o", tmp_path)

    def fill_up():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = finish(words, preexec_fn=fill_up)
    assert ended.returncode == 1
    error = ended.stderr.splitlines()[-1]
    assert error.startswith("error: The output folder should be writable and have room. Found: ")
    assert "Traceback" not in ended.stderr
    assert 0 < count_done(tmp_path) < PHOTOS
    assert set(everything_below(tmp_path).items()) - {
        item for item in everything_below(tmp_path).items() if item[0] == "predictions.jsonl"
    } <= set(whole.items())
    assert finish(words).returncode == 0
    assert everything_below(tmp_path) == whole


def without_privileges(words):
    """Return `words` run so that permissions count, which they do not for root."""
    if os.geteuid() != 0:
        return words
    if shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and setpriv is not there to change that")
    dropped = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", dropped, "--inh-caps", dropped, *words]


def test_what_may_not_be_read_is_named_and_the_rest_is_done(command, tmp_path):
    photos = tmp_path / "photos"
    for name in ("open.png", "locked.png", "shut/inside.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(photos / name)
    (photos / "locked.png").chmod(0)
    (photos / "shut").chmod(0)
    try:
        ended = finish(without_privileges(command(photos, "-o", tmp_path / "out")))
    finally:
        (photos / "shut").chmod(0o700)
    assert ended.returncode == 1
    assert ended.stdout.endswith("open.png\n")
    for name in ("locked.png", "shut"):
        assert f"skipped: {photos / name} cannot be read: Permission denied." in ended.stderr
    lines = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["image"] for line in lines] == [
        str(photos / name) for name in ("locked.png", "shut")
    ]


def test_an_output_folder_without_permission_is_one_line(command, photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    ended = finish(without_privileges(command(photos, "-o", out)))
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert "Permission denied" in line
    assert str(out) in line


def test_a_hot_folder_takes_whole_files_until_ctrl_c(command, photos, tmp_path):
    hot, out = tmp_path / "hot", tmp_path / "out"
    hot.mkdir()
    sources = sorted(photos.rglob("*.jpg"))[:3]
    process = start(command(hot, "-o", out, "--watch"))
    shutil.copy(sources[0], hot / "whole.jpg")
    data = sources[1].read_bytes()
    with (hot / "slow.jpg").open("wb") as file:  # half of it is no photo yet
        file.write(data[: len(data) // 2])
        file.flush()
        while not (out / "whole.map.png").exists():
            assert process.poll() is None, process.communicate()
            os.utime(file.fileno())
            time.sleep(0.05)
        assert not (out / "slow.map.png").exists()
        assert not (out / "failures.jsonl").exists()
        file.write(data[len(data) // 2 :])
    wait_until(process, lambda: (out / "slow.map.png").exists())
    (hot / "whole.jpg").unlink()  # as who empties a hot folder does
    shutil.copy(sources[2], hot / "last.jpg")
    wait_until(process, lambda: b"last.jpg" in (out / "predictions.jsonl").read_bytes())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in err
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [Path(row["image"]).name for row in rows] == ["whole.jpg", "slow.jpg", "last.jpg"]


def test_a_terminal_shows_a_bar_with_the_time_left_and_whole_lines(command, photos, tmp_path):
    words = command(photos / "trip0", "-o", tmp_path)
    main, terminal = pty.openpty()
    with subprocess.Popen(
        words,
        env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "100"},
        stdout=terminal,
        stderr=terminal,
    ):
        os.close(terminal)
        shown = b""
        while block := read_terminal(main):
            shown += block
    os.close(main)
    text = shown.decode()
    assert f"{PHOTOS // 2}/{PHOTOS // 2}" in text
    # A score stands at the start of a line that the bar was wiped from, not behind the bar.
    for number in range(0, PHOTOS, 2):
        line = next(line for line in text.split("\r\n") if f"{number:02}.jpg" in line)
        assert line.rsplit("\x1b[2K", 1)[-1].lstrip("\r")[:6].strip().replace(".", "").isdigit()


def read_terminal(main):
    try:
        return os.read(main, 4096)
    except OSError:  # Linux says so at the end
        return b""
