"""Write files that are either complete or missing."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, unique: bool = False) -> Iterator[Path]:
    """Yield a temporary name beside `path`, and rename it to `path` on success.

    A reader of `path` finds the old file or the new one, never a part of one. The folder is made
    if it is missing; on failure nothing is left behind.

    Args:
        path: Path of the file.
        unique: Whether the temporary name differs each time, for files that several processes may
            write at once. Else it is always the same, so that the next run overwrites what a
            killed run left.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hashed, because the longest names have no room for a suffix. The temporary file is beside
    # `path`, because renaming is atomic only within one file system; `tempfile`'s is private.
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]
    temporary = path.with_name(f".{uuid.uuid4().hex if unique else digest}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, completely or not at all.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    with replacing(path, unique=True) as temporary:
        temporary.write_bytes(data)
