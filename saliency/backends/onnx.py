"""ONNX Runtime, on the CPU."""

from __future__ import annotations

from threading import Lock

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from saliency.backends.base import NetworkOutput, Precision, refuse_precision
from saliency.backends.graphs import INPUT, LOG_DENSITY, SCORE_LOGITS, Graphs


class OnnxBackend:
    """Exported networks in ONNX Runtime.

    Photos of a batch are computed one after the other: a CPU gains nothing from batches, and the
    numbers do not depend on the neighbours.
    """

    name = "onnx"

    def __init__(
        self, graphs: Graphs, precision: Precision = "auto", threads: int | None = None
    ) -> None:
        """Prepare to load the networks, each when the first photo of its size comes.

        Args:
            graphs: From `find_graphs`.
            precision: `auto` and `float32` are the same.
            threads: How many threads will call `infer` at once, each computing on one core; None:
                one call at a time, on all cores.

        Raises:
            BackendError: Another precision is asked for.
        """
        refuse_precision(self.name, precision, "auto", "float32")
        self.precision: Precision = "float32"
        self._graphs = graphs
        self._options = onnxruntime.SessionOptions()
        self._options.log_severity_level = 3  # errors: unused constants are no news
        if threads is not None:
            self._options.intra_op_num_threads = 1  # the caller's own
        self._sessions: dict[tuple[int, int], onnxruntime.InferenceSession] = {}
        self._loading = Lock()

    def infer(self, inputs: NDArray[np.float32]) -> NetworkOutput:
        """Return the outputs, the log-density at the decoder's size."""
        session = self._session((inputs.shape[2], inputs.shape[3]))
        names = [output.name for output in session.get_outputs()]
        rows = [session.run(names, {INPUT: image[None]}) for image in inputs]
        outputs = dict(zip(names, map(np.concatenate, zip(*rows, strict=True)), strict=True))
        return NetworkOutput(outputs.get(LOG_DENSITY), outputs.get(SCORE_LOGITS))

    def _session(self, size: tuple[int, int]) -> onnxruntime.InferenceSession:
        with self._loading:
            if size not in self._sessions:
                self._sessions[size] = onnxruntime.InferenceSession(
                    self._graphs[size], self._options, providers=["CPUExecutionProvider"]
                )
            return self._sessions[size]
