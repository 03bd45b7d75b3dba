"""Files that are whole or not there, and that a killed run leaves no trace of."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saliency.errors import SaliencyError

ODD_NAME = frozenset(
    {
        errno.ENAMETOOLONG,
        errno.EILSEQ,
        errno.EINVAL,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.ENOTEMPTY,
    }
)
"""What one photo's name runs into; everything else (no room, no permission) hits all photos."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, and rename it to `path` if all goes well.

    The name is always the same for one `path`: what a killed run left there, the next one
    overwrites and renames. The folder is made if it is missing.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hashed, because the longest names have no room for a suffix.
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]
    temporary = path.with_name(f".{digest}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def to_output_error(out_dir: Path, error: OSError) -> SaliencyError:
    """Say that results cannot be written, and what becomes of those that were."""
    where = error.filename if error.filename is not None else out_dir
    return SaliencyError(
        f"The output folder should be writable and have room. Found: {error.strerror or error}: "
        f"{where}. What is done is kept; the same command goes on behind it."
    )
