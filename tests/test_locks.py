"""Two real processes and one folder."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from saliency import locks
from saliency.errors import BusyError
from saliency.locks import LOCK_NAME, hold_folder

HOLD = """
import sys, time
from pathlib import Path
from saliency.locks import hold_folder
with hold_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

FORK = """
import os, sys, time
from pathlib import Path
from saliency.locks import hold_folder
with hold_folder(Path(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.close(1)
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    time.sleep(60)
"""


def start(code, folder):
    """Start a process that holds `folder`; return it with what it says then."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


@pytest.fixture
def other(tmp_path):
    """A process that holds the folder until its stdin is closed."""
    process, said = start(HOLD, tmp_path)
    assert said == "held"
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_kept_out_and_told_whom_to_wait_for(other, tmp_path):
    told = rf"process {other.pid} on .* since .*\. Wait for its end or stop it, or name another"
    for _ in range(2):  # being kept out changes nothing
        with pytest.raises(BusyError, match=told), hold_folder(tmp_path):
            pass


def test_the_next_process_comes_in_when_the_first_has_ended(other, tmp_path):
    other.communicate()
    with hold_folder(tmp_path):
        assert (tmp_path / LOCK_NAME).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_keeps_nobody_out(other, tmp_path):
    other.kill()
    other.wait()
    assert (tmp_path / LOCK_NAME).exists()
    with hold_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_that_outlive_a_killed_process_keep_nobody_out(tmp_path):
    process, child = start(FORK, tmp_path)
    process.kill()
    process.communicate()
    try:
        os.kill(int(child), 0)  # it lives
        with hold_folder(tmp_path):
            pass
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_a_run_inside_this_process_is_kept_out_too(tmp_path):
    told = pytest.raises(BusyError, match=f"process {os.getpid()} on")
    with hold_folder(tmp_path), told, hold_folder(tmp_path):
        pass


def test_an_error_lets_go(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_folder(tmp_path):
        raise ZeroDivisionError
    with hold_folder(tmp_path):
        pass


RACE = """
import sys
from pathlib import Path
from saliency.errors import BusyError
from saliency.locks import hold_folder
folder = Path(sys.argv[1])
inside = folder / "inside"
print("begun", flush=True)
while not (folder / "all have").exists():
    pass
held = 0
while held < 200:
    try:
        with hold_folder(folder):
            inside.touch(exist_ok=False)  # raises if two are in
            inside.unlink()
            held += 1
    except BusyError:
        pass
"""


def test_of_processes_that_come_and_go_one_is_inside_at_a_time(tmp_path):
    processes = [start(RACE, tmp_path)[0] for _ in range(3)]
    (tmp_path / "all have").touch()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(file):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "_lock", refuse)
    with hold_folder(tmp_path):
        pass
    assert "other runs are not kept out of it" in caplog.text


def test_a_lock_that_says_nothing_yet_is_still_one(other, tmp_path):
    (tmp_path / LOCK_NAME).write_text("")
    with pytest.raises(BusyError, match="has said nothing"), hold_folder(tmp_path):
        pass


def test_the_folder_is_made(tmp_path):
    with hold_folder(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run").is_dir()


def test_ctrl_c_while_locking_leaves_the_folder_free(tmp_path, monkeypatch):
    lock = locks._lock

    def stopped(file):
        lock(file)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(locks, "_lock", stopped)
        with pytest.raises(KeyboardInterrupt), hold_folder(tmp_path):
            pass
    with hold_folder(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_what_a_killed_run_leaves_can_be_taken_by_whoever_may_write_there(tmp_path):
    process, _ = start(HOLD, tmp_path)
    process.kill()
    process.communicate()
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o666


def test_a_lock_that_another_machine_removed_is_taken_anew(tmp_path, monkeypatch):
    real, asked = os.path.samestat, []

    def stale_once(*stats):
        asked.append(stats)
        if len(asked) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(*stats)

    monkeypatch.setattr(os.path, "samestat", stale_once)
    with hold_folder(tmp_path):
        assert len(asked) == 2
