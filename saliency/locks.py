"""One run at a time in a folder.

The operating system keeps the lock and lets go of it when its process ends, however that ends. On a
network file system it holds between machines where that has file locks.
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
"""Where Windows locks: behind the text, which others may then read."""

_held: set[int] = set()
"""Open lock files of this process."""

logger = logging.getLogger(__name__)


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder`, which is made if it is missing, until the context ends.

    Where the file system knows no locks, a warning says so and nobody is kept out.

    Raises:
        BusyError: Another run is in it; the message says which.
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
        with suppress(OSError):  # on Windows it stays: nobody removes a file that is open
            path.unlink()  # before it is let go of, or it could be another run's
        os.close(file)


def _open_locked(path: Path) -> int:
    """Return the lock file, open and locked.

    Raises:
        BusyError: Another run has locked it.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with suppress(OSError):  # another user's, who may not change it and need not
                os.chmod(path, 0o666)  # noqa: PTH101, S103  # whoever may write here may go on
            try:
                _lock(file)
            except BlockingIOError:
                raise BusyError(
                    f"{path.parent} should be written to by one run at a time. Found another in "
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
        os.close(file)  # its run has just ended and removed it


def _lock(file: int) -> None:
    """Lock an open file for this process.

    Raises:
        BlockingIOError: Another one has locked it.
        OSError: The file system knows no locks.
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
    """Return what others are told of this run."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return {
        "command": textwrap.shorten(shlex.join([name, *sys.argv[1:]]), 200, placeholder=" ..."),
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _read_run(path: Path) -> str:
    """Return what the run that holds a lock says of itself."""
    try:
        run = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        where = f"process {run['process']} on {run['machine']} since {run['since']}"
        return f"`{run['command']}`, {where}"
    except (OSError, ValueError, KeyError, TypeError):  # it is just beginning
        return "one that has said nothing of itself yet"


def _let_go_in_child() -> None:
    """Close a forked process's copies: a loader process may outlive its killed run by seconds."""
    for file in _held:
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
