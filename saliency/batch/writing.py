"""The error of a run whose results cannot be written."""

from __future__ import annotations

import errno
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
"""Errors that concern one photo's name; all others (no room, no permission) concern all photos."""


def to_output_error(out_dir: Path, error: OSError) -> SaliencyError:
    """Return the error that says what cannot be written, and how to continue."""
    where = error.filename if error.filename is not None else out_dir
    return SaliencyError(
        f"The output folder should be writable and have room. Found: {error.strerror or error}: "
        f"{where}. Photos that are done are kept. Run the same command again; it continues where "
        "it stopped."
    )
