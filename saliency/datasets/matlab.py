"""MATLAB files, which two layouts keep fixations in."""

import math
import struct
from pathlib import Path
from typing import Any

from saliency.errors import DatasetError

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_SPARSE = 5
_TYPES = frozenset({*range(1, 8), 9, 12, 13, _MATRIX, _COMPRESSED, 16, 17, 18})
"""Numbers of the types of data in a file of version 5 to 7."""


def load_mat(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file.

    Raises:
        DatasetError: The file is damaged, of another kind, or of version 7.3 (HDF5).
    """
    # Only here: SciPy comes with the training extra and takes a while to import.
    from scipy.io import loadmat

    try:
        _check_types(path.read_bytes())
        contents = loadmat(path)
    except Exception as error:  # on damaged bytes SciPy raises nearly every class there is
        raise DatasetError(
            f"{path} should be a MATLAB file of version 7 or older; MATLAB's `save -v7` makes one "
            f"of a file of version 7.3. Found: {error}"
        ) from error
    return {name: value for name, value in contents.items() if not name.startswith("__")}


def _check_types(data: bytes) -> None:
    """Refuse types that do not exist: SciPy's reader ends the whole process there.

    Compressed variables have a checksum, and are not looked into.

    Raises:
        ValueError: A type does not exist, or the file is too short for an element.
    """
    if data[124:128] not in (b"\0\1IM", b"\1\0MI"):
        return  # of another version, for which SciPy has messages
    order = "<" if data[126:128] == b"IM" else ">"
    waiting = [(_HEADER_BYTES, len(data))]
    while waiting:
        at, end = waiting.pop()
        while at + 8 <= end:
            kind, length = struct.unpack_from(f"{order}2I", data, at)
            is_small = kind > 0xFFFF
            kind &= 0xFFFF
            if kind not in _TYPES or (not is_small and at + 8 + length > end):
                raise ValueError(f"data of type {kind} at byte {at}")
            if kind == _MATRIX and length >= 32:
                flags, _, _, size = struct.unpack_from(f"{order}4I", data, at + 16)
                sizes = data[at + 32 : at + 32 + min(size, length)]
                numbers = struct.unpack_from(f"{order}{len(sizes) // 4}I", sizes)
                if flags & 0xFF != _SPARSE and math.prod(numbers) > length:
                    raise ValueError(f"{numbers} items in {length} bytes")
            if kind == _MATRIX:
                waiting.append((at + 8, at + 8 + length))
            padding = 0 if is_small or kind == _COMPRESSED else -length % 8
            at += 8 if is_small else 8 + length + padding
