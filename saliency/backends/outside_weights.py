"""ONNX graphs of one network that read their weights from one file beside them.

ONNX lets a constant lie in another file, at an offset. A safetensors file holds plain arrays one
behind the other, so the checkpoint itself can be that file, where its arrays are what the graphs
need. Where batch normalisation is multiplied into the weights they are not; then the graphs of all
input sizes share a file of their own.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from saliency.backends.graphs import name_data
from saliency.checkpoint import to_sha256
from saliency.files import write_atomically

LEAST_SHARE = 0.5
"""Share of the graphs' constants, in bytes, that the checkpoint has to hold to be the file."""

SMALLEST = 2048
"""Values that a constant has at least to be moved out of the graph."""


class _Place(NamedTuple):
    """Where an array lies in a file."""

    offset: int
    length: int
    shape: tuple[int, ...]
    is_transposed: bool = False


def move_weights_out(graphs: Sequence[onnx.GraphProto], weights: Path) -> str | None:
    """Move large float16 constants out of graphs.

    Args:
        graphs: Those of one network for all its input sizes, changed in place; they must be saved
            in the folder of `weights`.
        weights: The checkpoint that they were made from.

    Returns:
        Name of the file that the graphs now read, which has to stay beside them: the checkpoint's,
        or that of `name_data(weights)`, which is written; None if nothing is worth moving.

    Raises:
        OSError: The file cannot be written.
    """
    large = [[c for c in graph.initializer if _is_large(c)] for graph in graphs]
    sizes = {c.raw_data: len(c.raw_data) for constants in large for c in constants}
    held = dict(_find_places(weights))
    if sum(sizes[raw] for raw in sizes if raw in held) >= LEAST_SHARE * sum(sizes.values()) > 0:
        file, places = weights, held
    else:
        seen = Counter(raw for constants in large for raw in {c.raw_data for c in constants})
        shared = [raw for raw, count in seen.items() if count > 1]
        if not shared:
            return None
        file = name_data(weights)
        places = _write(file, weights, shared)
    for graph, constants in zip(graphs, large, strict=True):
        for constant in constants:
            place = places.get(constant.raw_data)
            if place is not None and _fits(constant, place):
                _refer(graph, constant, place, file.name)
    return file.name


def _is_large(constant: onnx.TensorProto) -> bool:
    return constant.data_type == onnx.TensorProto.FLOAT16 and math.prod(constant.dims) >= SMALLEST


def _fits(constant: onnx.TensorProto, place: _Place) -> bool:
    """Return whether an array of the same bytes has the shape that it is turned back to."""
    return not place.is_transposed or tuple(constant.dims) == place.shape[::-1]


def _write(file: Path, weights: Path, arrays: Sequence[bytes]) -> dict[bytes, _Place]:
    """Write arrays behind the SHA-256 of the checkpoint, and return where each lies."""
    content = bytearray(to_sha256(weights).encode())
    places = {}
    for raw in arrays:
        places[raw] = _Place(len(content), len(raw), ())
        content += raw + bytes(-len(raw) % 64)
    write_atomically(file, bytes(content))
    return places


def _find_places(weights: Path) -> Iterator[tuple[bytes, _Place]]:
    """Yield the bytes of each large array of a safetensors file, as it is and transposed."""
    content = weights.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8:start]).items():
        if name == "__metadata__" or entry["dtype"] != "F16":
            continue
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if math.prod(shape) < SMALLEST:
            continue
        raw = content[start + begin : start + end]
        if len(shape) == 2:  # a linear layer's weight, which MatMul wants the other way
            values: NDArray[np.float16] = np.frombuffer(raw, np.float16).reshape(shape)
            place = _Place(start + begin, end - begin, shape, is_transposed=True)
            yield values.T.tobytes(), place
        yield raw, _Place(start + begin, end - begin, shape)


def _refer(graph: onnx.GraphProto, constant: onnx.TensorProto, place: _Place, file: str) -> None:
    """Let `constant` be read from `place` in `file`."""
    if place.is_transposed:
        _transpose_behind(graph, constant, place.shape)
    onnx.external_data_helper.set_external_data(
        constant, location=file, offset=place.offset, length=place.length
    )
    constant.ClearField("raw_data")


def _transpose_behind(
    graph: onnx.GraphProto, constant: onnx.TensorProto, shape: tuple[int, ...]
) -> None:
    """Give `constant` the checkpoint's `shape`, and turn it back for whoever reads it."""
    turned = f"{constant.name}.turned"
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == constant.name:
                node.input[place] = turned
    graph.node.insert(0, onnx.helper.make_node("Transpose", [constant.name], [turned], perm=[1, 0]))
    del constant.dims[:]
    constant.dims.extend(shape)
