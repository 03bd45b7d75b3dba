"""Exported networks: ONNX files beside the checkpoint that they were made from.

`saliency export` writes one for each size of the network's input, so that everything in them is
known beforehand and nothing is worked out for each photo. They need neither PyTorch nor timm. What
they have in common, the weights, lies in one file beside them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.backends.base import NetworkOutput
from saliency.checkpoint import identify
from saliency.errors import BackendError
from saliency.preprocessing import Preprocessing

log = logging.getLogger(__name__)

INPUT = "images"
LOG_DENSITY = "log_density"
SCORE_LOGITS = "score_logits"
ATTRIBUTE = "attribute_"
"""Prefix of the output of an attribute."""
SCORE_LOG_VARIANCE = "score_log_variance"
LOG_VARIANCE = "log_variance_"
"""Prefix of the output that states the error of an attribute."""

CHECKPOINT = "checkpoint_sha256"
"""Metadata key: SHA-256 of the checkpoint that a graph was made from."""

WEIGHTS_FILE = "weights_file"
"""Metadata key: name of the file beside it that a graph reads its weights from, if it does."""

END_BYTES = 4096
"""Number of bytes at the end of an ONNX file in which `CHECKPOINT` and `WEIGHTS_FILE` are."""


@dataclass(frozen=True)
class Graphs:
    """The exported networks of a checkpoint.

    Attributes:
        weights: The checkpoint.
        sha256: SHA-256 of the checkpoint when they were found.
        paths: The ONNX file of each input size (height, width).
    """

    weights: Path
    sha256: str
    paths: Mapping[tuple[int, int], Path]

    def current(self, size: tuple[int, int]) -> Path:
        """Return the ONNX file of an input size, which is loaded later than it was found.

        Raises:
            BackendError: It, or the file that it reads its weights from, was replaced meanwhile.
        """
        try:
            is_same = identify(self.weights) == self.sha256
            if is_same and _is_made_from(self.weights, _read_end(self.paths[size])):
                return self.paths[size]
        except FileNotFoundError:
            pass
        raise BackendError(
            f"{self.weights} and its exported network should stay as they are while they are in "
            "use. Found other files; load the checkpoint again."
        )


def to_network_output(outputs: Mapping[str, NDArray[np.float32]]) -> NetworkOutput:
    """Return the outputs of an exported network, given in its order, by name."""
    attributes = [name for name in outputs if name.startswith(ATTRIBUTE)]
    return NetworkOutput(
        outputs.get(LOG_DENSITY),
        outputs.get(SCORE_LOGITS),
        tuple(outputs[name] for name in attributes),
        outputs.get(SCORE_LOG_VARIANCE),
        tuple(outputs.get(f"{LOG_VARIANCE}{name}") for name in attributes),
    )


def name_graphs(weights: Path, preprocessing: Preprocessing) -> dict[tuple[int, int], Path]:
    """Return the paths of a checkpoint's exported networks, whether they exist or not."""
    return {
        (height, width): weights.with_name(f"{weights.stem}.{height}x{width}.onnx")
        for height, width in preprocessing.sizes
    }


def name_data(weights: Path) -> Path:
    """Return where the weights belong that the exported networks of a checkpoint share."""
    return weights.with_name(f"{weights.stem}.onnx_data")


def find_graphs(weights: Path, preprocessing: Preprocessing) -> Graphs | None:
    """Return the exported networks of a checkpoint; None if one is missing or of another one."""
    paths = name_graphs(weights, preprocessing)
    if not all(path.is_file() for path in paths.values()):
        return None
    if all(_is_made_from(weights, _read_end(path)) for path in paths.values()):
        return Graphs(weights, identify(weights), paths)
    log.warning(
        "The exported network beside %s was made from another file, or one of another name, "
        "or reads its weights through a link, and is not used; "
        "to write it anew: saliency export %s",
        weights,
        weights,
    )
    return None


def _is_made_from(weights: Path, metadata: bytes) -> bool:
    """Return whether a graph is that of a checkpoint, and the file that it reads is, too."""
    sha256, data = identify(weights), name_data(weights)
    if _to_entry(CHECKPOINT, sha256) not in metadata:
        return False
    if WEIGHTS_FILE.encode() not in metadata:
        return True
    if _to_entry(WEIGHTS_FILE, weights.name) in metadata:
        return _lies_there(weights)
    if _to_entry(WEIGHTS_FILE, data.name) not in metadata or not data.is_file():
        return False  # renamed since
    with data.open("rb") as file:
        return file.read(len(sha256)) == sha256.encode() and _lies_there(data)


def _lies_there(file: Path) -> bool:
    """Return whether a file is in its folder: a link to elsewhere is not read by ONNX Runtime."""
    return file.resolve().parent == file.parent.resolve()


def _to_entry(key: str, value: str) -> bytes:
    """Return an entry of an ONNX file's metadata as it is in the file.

    Lengths come before the texts, so a name that ends like another one is not taken for it.
    """
    entry = b""
    for field, text in enumerate((key.encode(), value.encode()), 1):
        length = len(text)  # of a file's name or less: one or two bytes of seven bits
        size = [length] if length < 128 else [length & 127 | 128, length >> 7]
        entry += bytes([field << 3 | 2, *size]) + text
    return entry


def _read_end(path: Path) -> bytes:
    """Return the end of an ONNX file, which holds its metadata, as text."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_BYTES))
        return file.read()
