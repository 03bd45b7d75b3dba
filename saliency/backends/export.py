"""From a checkpoint to ONNX files that need neither PyTorch nor timm."""

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
    INPUT,
    LOG_DENSITY,
    LOG_VARIANCE,
    SCORE_LOG_VARIANCE,
    SCORE_LOGITS,
    name_graphs,
)
from saliency.backends.rearrange import rearrange
from saliency.checkpoint import FORMAT, load_checkpoint, read_header, to_sha256
from saliency.files import write_atomically
from saliency.model import SaliencyNetwork

HALF_FROM = 2048
"""Values from which on a constant is stored as float16. The shallow layers' weights are fewer, and
what is lost there is lost for all layers."""


def export_graphs(weights: Path) -> list[Path]:
    """Write the network of a checkpoint beside it as ONNX, for landscape and portrait photos.

    Input `images` (1, 3, h, w) float32, normalised; outputs `log_density` (1, h / s, w / s), s
    being the decoder's stride, `score_logits` (1, K) and `attribute_NAME`, where the network has
    these heads; where it states errors also `score_log_variance` and
    `log_variance_attribute_NAME`, (1,) each. The metadata tell the checkpoint's SHA-256, how to
    prepare photos, and the card.

    Returns:
        The files.

    Raises:
        CheckpointError: The checkpoint is missing, damaged or foreign.
        OSError: They cannot be written.
    """
    network = load_checkpoint(weights).network
    header = read_header(weights)
    metadata = {
        "format": FORMAT,
        "checkpoint_sha256": to_sha256(weights),
        "preprocessing": json.dumps(asdict(header.preprocessing)),
        "card": json.dumps(asdict(header.card)),
    }
    graphs = name_graphs(weights, header.preprocessing)
    for size, path in graphs.items():
        model = _to_onnx(network, size)
        _store_in_half(model.graph)
        _describe(model, metadata)
        write_atomically(path, model.SerializeToString())
    return list(graphs.values())


class _Outputs(nn.Module):
    """The network with the outputs that photos need, for one image in the neutral setting."""

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

    A checkpoint's weights are float16 too; these have batch normalisation multiplied in.
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
    """Replace the exporter's notes, which name folders of this machine, by `metadata`."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for operation in model.graph.node:
        operation.doc_string = ""
        del operation.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's advice to its own developers from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
