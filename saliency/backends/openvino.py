"""OpenVINO, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as opset

from saliency.backends.base import NetworkOutput, Precision, refuse_precision
from saliency.backends.graphs import Graphs, to_network_output


class OpenVinoBackend:
    """Exported networks in OpenVINO.

    Photos are computed one after the other, each on all cores: a CPU gains nothing
    from batches, and the numbers do not depend on the neighbours.

    Note:
        OpenVINO's streams, meant for concurrent calls, are not used: with version 2026.4 every
        map was wrong in 4 of 15 runs with two streams, and another run never ended.

        In bfloat16 the layers before the shallowest feature that a head reads stay in float32.
        They are a quarter of the work and cause most of the scores' error: in a plain area they
        round every value in the same way, so that the errors do not average out.
    """

    name = "openvino"
    is_concurrent = False

    def __init__(self, graphs: Graphs, precision: Precision = "auto") -> None:
        """Prepare to load each network when the first photo of its size is computed.

        Args:
            graphs: Files from `find_graphs`.
            precision: `auto` is float32; bfloat16 is faster where the processor computes in it.

        Raises:
            BackendError: Another precision is requested.
        """
        refuse_precision(self.name, precision, "auto", "float32", "bfloat16")
        self.precision: Precision = "float32" if precision == "auto" else precision
        self._graphs = graphs
        self._core = openvino.Core()
        self._networks: dict[tuple[int, int], list[openvino.InferRequest]] = {}
        self._turn = Lock()

    def infer(self, inputs: NDArray[np.float32], *, on_all_cores: bool = True) -> NetworkOutput:
        """Return the outputs, the log-density at the decoder's size; always on all cores."""
        rows: dict[str, list[NDArray[np.float32]]] = {}
        for image in inputs:
            with self._turn:
                parts = self._load((inputs.shape[2], inputs.shape[3]))
                parts[0].set_input_tensor(openvino.Tensor(image[None]))
                for part in parts:
                    part.infer()
                for output in parts[-1].model_outputs:
                    found = np.array(parts[-1].get_tensor(output).data)
                    rows.setdefault(output.any_name, []).append(found)
        return to_network_output({name: np.concatenate(found) for name, found in rows.items()})

    def _load(self, size: tuple[int, int]) -> list[openvino.InferRequest]:
        """Return the parts of the network, each of which reads what the one before it writes."""
        if size not in self._networks:
            model = self._core.read_model(self._graphs.current(size))
            parts = [(model, "f32")]
            if self.precision == "bfloat16":
                parts = list(zip(split(model), ("f32", "bf16"), strict=True))
            requests = [self._compile(part, precision) for part, precision in parts]
            for before, after in pairwise(requests):
                after.set_input_tensor(before.get_output_tensor())
            self._networks[size] = requests
        return self._networks[size]

    def _compile(self, model: openvino.Model, precision: str) -> openvino.InferRequest:
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            # Threads that are bound to a core wait for other programs that run there.
            "ENABLE_CPU_PINNING": False,
        }
        return self._core.compile_model(model, "CPU", options).create_infer_request()


def split(model: openvino.Model) -> tuple[openvino.Model, openvino.Model]:
    """Cut a network in two after the last tensor on which alone everything later depends.

    In an encoder with several heads that is the shallowest feature that a head reads.

    Args:
        model: The network; it is changed into the second part.

    Returns:
        The network up to that tensor, and the rest, whose input is that tensor.
    """
    cut = _find_cut(model)
    images, results = model.get_parameters(), model.get_results()
    passed_on = opset.parameter(cut.get_shape(), cut.get_element_type().to_dtype())
    for reader in cut.get_target_inputs():
        reader.replace_source_output(passed_on.output(0))
    return openvino.Model([cut], images), openvino.Model(results, [passed_on])


def _find_cut(model: openvino.Model) -> Any:
    operations = model.get_ordered_ops()
    position = {operation.get_name(): i for i, operation in enumerate(operations)}
    computed: set[str] = set()  # tensors that depend on the photo
    read_until = 0  # number of the operation that reads the last of them
    cut = None
    for i, operation in enumerate(operations):
        sources = {value.get_node().get_name() for value in operation.input_values()}
        if operation.get_type_name() != "Parameter" and computed.isdisjoint(sources):
            continue  # a constant
        computed.add(operation.get_name())
        if read_until <= i and operation.get_output_size() == 1:
            cut = operation.output(0)
        for reader in _readers(operation):
            if reader.get_type_name() == "Result":  # an output is read after everything else
                read_until = len(operations)
            else:
                read_until = max(read_until, position[reader.get_name()])
    return cut


def _readers(operation: Any) -> Iterator[Any]:
    """Yield the operations that read what `operation` computes."""
    for output in operation.outputs():
        for reader in output.get_target_inputs():
            yield reader.get_node()
