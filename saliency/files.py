"""Files that are either complete or not there."""

import uuid
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name, then rename it to `path`.

    Whoever looks at `path` finds the old file or the new one, never half of one. The folder is
    made if it is missing; on failure nothing is left behind.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renaming is atomic only within one file system. `tempfile` would make the file private.
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
