"""Allow only one run at a time in a folder.

The operating system keeps the lock and releases it when the process ends, however it ends. On a
network file system it works between machines if the file system has file locks.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shlex
import socket
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saliency.errors import BusyError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_NAME = ".saliency-lock"

_LOCKED_BYTE = 2**20
"""Position that Windows locks: after the text, which others can then read."""

_held: set[int] = set()
"""Open lock files of this process."""

logger = logging.getLogger(__name__)


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder`, which is made if it is missing, until the context ends.

    If the file system has no locks, a warning is logged and no run is kept out.

    Raises:
        BusyError: Another run uses the folder; the message names it.
        OSError: The folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_NAME
    file = _open_locked(path)
    _held.add(file)
    try:
        os.ftruncate(file, 0)
        os.write(file, json.dumps(_describe_run()).encode())
        yield
    finally:
        _held.discard(file)
        with suppress(OSError):  # on Windows it stays: open files cannot be removed
            path.unlink()  # before the lock is released, or it could be another run's
        os.close(file)


def _open_locked(path: Path) -> int:
    """Return the lock file, open and locked.

    Raises:
        BusyError: Another run has locked it.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with suppress(OSError):  # another user's file, which need not be changed
                os.chmod(path, 0o666)  # noqa: PTH101, S103  # any user who may write here may continue
            try:
                _lock(file)
            except BlockingIOError:
                raise BusyError(
                    f"{path.parent} should be used by one run at a time. Found another in "
                    f"it: {_read_run(path)}. Wait for its end or stop it, or name another folder "
                    "with -o."
                ) from None
            except OSError as error:
                logger.warning("%s: other runs are not kept out of it: %s", path.parent, error)
                return file
            if _is_at(file, path):
                return file
        except BaseException:  # Ctrl-C too: an open file would keep the lock
            os.close(file)
            raise
        os.close(file)  # the other run has just ended and removed it


def _lock(file: int) -> None:
    """Lock an open file for this process.

    Raises:
        BlockingIOError: Another one has locked it.
        OSError: The file system has no locks.
    """
    if sys.platform == "win32":
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(file, 0, os.SEEK_SET)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(file: int, path: Path) -> bool:
    """Return whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):  # stale: removed by another machine
            return False
        raise


def _describe_run() -> dict[str, str | int]:
    """Return the description of this run for others."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return {
        "command": textwrap.shorten(shlex.join([name, *sys.argv[1:]]), 200, placeholder=" ..."),
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _read_run(path: Path) -> str:
    """Return the description of the run that holds a lock."""
    try:
        run = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        where = f"process {run['process']} on {run['machine']} since {run['since']}"
        return f"`{run['command']}`, {where}"
    except (OSError, ValueError, KeyError, TypeError):  # it has just started
        return "one that has said nothing of itself yet"


def _let_go_in_child() -> None:
    """Close a forked process's copies: a loader process may outlive its killed run by seconds."""
    for file in _held:
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
