"""ONNX Runtime, on the CPU."""

from __future__ import annotations

from threading import Lock

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from saliency.backends.base import NetworkOutput, Precision, refuse_precision
from saliency.backends.graphs import INPUT, Graphs, to_network_output


class OnnxBackend:
    """Exported networks in ONNX Runtime.

    Photos of a batch are computed one after the other: a CPU gains nothing from batches, and the
    numbers do not depend on the neighbours.
    """

    name = "onnx"
    is_concurrent = True

    def __init__(
        self, graphs: Graphs, precision: Precision = "auto", threads: int | None = None
    ) -> None:
        """Prepare to load each network when the first photo of its size is computed.

        Args:
            graphs: Files from `find_graphs`.
            precision: `auto` and `float32` are the same.
            threads: How many threads will call `infer` at once, each computing on one core; None:
                one call at a time, on all cores.

        Raises:
            BackendError: Another precision is requested.
        """
        refuse_precision(self.name, precision, "auto", "float32")
        self.precision: Precision = "float32"
        self._graphs = graphs
        self._shares_cores = threads is not None
        self._sessions: dict[tuple[tuple[int, int], bool], onnxruntime.InferenceSession] = {}
        self._loading = Lock()

    def infer(self, inputs: NDArray[np.float32], *, on_all_cores: bool = True) -> NetworkOutput:
        """Return the outputs, the log-density at the decoder's size."""
        session = self._session((inputs.shape[2], inputs.shape[3]), on_all_cores)
        names = [output.name for output in session.get_outputs()]
        rows = [session.run(names, {INPUT: image[None]}) for image in inputs]
        outputs = dict(zip(names, map(np.concatenate, zip(*rows, strict=True)), strict=True))
        return to_network_output(outputs)

    def _session(self, size: tuple[int, int], on_all_cores: bool) -> onnxruntime.InferenceSession:
        """Return the network for photos of a size, loaded at the first call."""
        on_all_cores = on_all_cores and not self._shares_cores
        with self._loading:
            if (size, on_all_cores) not in self._sessions:
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 3  # errors only: unused constants do not matter
                options.intra_op_num_threads = (
                    0 if on_all_cores else 1
                )  # 1: only the caller's thread
                self._sessions[size, on_all_cores] = onnxruntime.InferenceSession(
                    self._graphs.current(size), options, providers=["CPUExecutionProvider"]
                )
            return self._sessions[size, on_all_cores]
