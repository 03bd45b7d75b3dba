"""Export a checkpoint to ONNX files, which need neither PyTorch nor timm."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from saliency.backends.graphs import (
    ATTRIBUTE,
    CHECKPOINT,
    INPUT,
    LOG_DENSITY,
    LOG_VARIANCE,
    SCORE_LOG_VARIANCE,
    SCORE_LOGITS,
    WEIGHTS_FILE,
    name_graphs,
)
from saliency.backends.outside_weights import move_weights_out
from saliency.backends.rearrange import rearrange
from saliency.checkpoint import FORMAT, load_checkpoint, read_header, to_sha256
from saliency.files import write_atomically
from saliency.model import SaliencyNetwork

HALF_FROM = 2048
"""Least number of values of a constant that is stored as float16. The weights of shallow layers are
fewer, and precision that is lost there is lost for all layers."""


def export_graphs(weights: Path) -> list[Path]:
    """Write the network of a checkpoint beside it as ONNX, a graph for each input size.

    Input `images` (1, 3, h, w) float32, normalised; outputs `log_density` (1, h / s, w / s), s
    being the decoder's stride, `score_logits` (1, K) and `attribute_NAME`, where the network has
    these heads; where it states errors also `score_log_variance` and
    `log_variance_attribute_NAME`, (1,) each. The metadata tell the checkpoint's SHA-256, how to
    prepare photos, and the card. The graphs read the weights that they have in common from one
    file, `name_data` or the checkpoint itself, which has to stay beside them.

    Returns:
        The graphs.

    Raises:
        CheckpointError: The checkpoint is missing, damaged or foreign.
        OSError: The files cannot be written.
    """
    network = load_checkpoint(weights).network
    header = read_header(weights)
    metadata = {
        "format": FORMAT,
        "card": json.dumps(asdict(header.card)),
        "preprocessing": json.dumps(asdict(header.preprocessing)),
        CHECKPOINT: to_sha256(weights),  # behind the card, which may be long: see `find_graphs`
    }
    paths = name_graphs(weights, header.preprocessing)
    models = [_to_onnx(network, size) for size in paths]
    for model in models:
        _store_in_half(model.graph)
    for path in paths.values():  # what they read is about to change
        path.unlink(missing_ok=True)
    outside = move_weights_out([model.graph for model in models], weights)
    for path, model in zip(paths.values(), models, strict=True):
        _describe(model, metadata | ({WEIGHTS_FILE: outside} if outside else {}))
        write_atomically(path, model.SerializeToString())
    return list(paths.values())


class _Outputs(nn.Module):
    """The network with the outputs that predicting needs, for one image in the neutral setting."""

    def __init__(self, network: SaliencyNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        output = self.network(images, enlarge=False)
        main = (output.log_density, output.score_logits)
        errors = (output.score_log_variance, *output.attribute_log_variances)
        given = (*main, *output.attributes, *errors)
        return tuple(tensor for tensor in given if tensor is not None)


def _to_onnx(network: SaliencyNetwork, size: tuple[int, int]) -> onnx.ModelProto:
    heads = {LOG_DENSITY: network.decoder, SCORE_LOGITS: network.aesthetics}
    with _quiet():
        program = torch.onnx.export(
            _Outputs(rearrange(network)).eval(),
            (torch.zeros(1, 3, *size),),
            input_names=[INPUT],
            output_names=[
                *(name for name, head in heads.items() if head is not None),
                *(f"{ATTRIBUTE}{a.name}" for a in network.architecture.attributes),
                *_name_errors(network),
            ],
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # noqa: S101
    return program.model_proto


def _name_errors(network: SaliencyNetwork) -> list[str]:
    """Return the names of the outputs that state errors."""
    names = []
    if network.aesthetics is not None and network.aesthetics.error is not None:
        names.append(SCORE_LOG_VARIANCE)
    stating = [head for head in network.attribute_heads() if head.error is not None]
    return names + [f"{LOG_VARIANCE}{ATTRIBUTE}{head.attribute.name}" for head in stating]


def _store_in_half(graph: onnx.GraphProto) -> None:
    """Store large constants as float16 and widen them when the network is loaded.

    A checkpoint's weights are float16 too; exported ones include batch normalisation.
    """
    widened = []
    for constant in list(graph.initializer):
        values = onnx.numpy_helper.to_array(constant)
        large = values.dtype == np.float32 and values.size >= HALF_FROM
        if not large or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{constant.name}.half")
        widened.append(
            onnx.helper.make_node("Cast", [half.name], [constant.name], to=onnx.TensorProto.FLOAT)
        )
        graph.initializer.remove(constant)
        graph.initializer.append(half)
    operations = [*widened, *graph.node]
    del graph.node[:]
    graph.node.extend(operations)


def _describe(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Replace the exporter's notes, which name local folders, by `metadata`."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for operation in model.graph.node:
        operation.doc_string = ""
        del operation.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's messages for its own developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
