"""Exported networks: ONNX files beside the checkpoint that they were made from.

`saliency export` writes one for landscape and one for portrait photos, so that everything in them
is known beforehand and nothing is worked out for each photo. They need neither PyTorch nor timm.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from saliency.backends.base import NetworkOutput
from saliency.checkpoint import identify
from saliency.preprocessing import Preprocessing

log = logging.getLogger(__name__)

INPUT = "images"
LOG_DENSITY = "log_density"
SCORE_LOGITS = "score_logits"
ATTRIBUTE = "attribute_"
"""Before an attribute's name."""
SCORE_LOG_VARIANCE = "score_log_variance"
LOG_VARIANCE = "log_variance_"
"""Before the name of an attribute's output."""

END_BYTES = 4096
"""Of an ONNX file, that hold its metadata."""

Graphs: TypeAlias = Mapping[tuple[int, int], Path]
"""The ONNX file of each input size (height, width)."""


def to_network_output(outputs: Mapping[str, NDArray[np.float32]]) -> NetworkOutput:
    """Return what an exported network's outputs, in its order, say."""
    told = [name for name in outputs if name.startswith(ATTRIBUTE)]
    return NetworkOutput(
        outputs.get(LOG_DENSITY),
        outputs.get(SCORE_LOGITS),
        tuple(outputs[name] for name in told),
        outputs.get(SCORE_LOG_VARIANCE),
        tuple(outputs.get(f"{LOG_VARIANCE}{name}") for name in told),
    )


def name_graphs(weights: Path, preprocessing: Preprocessing) -> dict[tuple[int, int], Path]:
    """Return where the exported networks of a checkpoint belong."""
    landscape = (preprocessing.height, preprocessing.width)
    return {
        (height, width): weights.with_name(f"{weights.stem}.{height}x{width}.onnx")
        for height, width in (landscape, landscape[::-1])
    }


def find_graphs(weights: Path, preprocessing: Preprocessing) -> Graphs | None:
    """Return the exported networks of a checkpoint; None where one is missing or of another."""
    graphs = name_graphs(weights, preprocessing)
    if not all(path.is_file() for path in graphs.values()):
        return None
    sha256 = identify(weights).encode()
    if all(sha256 in _read_end(path) for path in graphs.values()):
        return graphs
    log.warning(
        "The exported network beside %s was made from another file and is not used; "
        "to write it anew: saliency export %s",
        weights,
        weights,
    )
    return None


def _read_end(path: Path) -> bytes:
    """Return the end of an ONNX file, where its metadata are, as plain text."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_BYTES))
        return file.read()
