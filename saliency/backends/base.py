"""The interface of all backends: prepared photos in, the network's outputs out."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from saliency.errors import BackendError

Precision = Literal["auto", "float32", "float16", "bfloat16"]
"""Number format of the convolutions; `auto` is float16 on CUDA and float32 elsewhere."""


class NetworkOutput(NamedTuple):
    """The network's outputs for a batch; None for a head that it does not have.

    Attributes:
        log_density: (B, h', w') float32, natural logarithm of a density, at the network's input
            size or coarser. Up to a constant for each image: exp need not sum to 1.
        score_logits: (B, K) float32; softmax gives the score distribution.
        attributes: (B,) or (B, classes) float32 for each attribute, as `Output.attributes`.
        score_log_variance: (B,) float32, as `Output.score_log_variance`.
        attribute_log_variances: As `Output.attribute_log_variances`.
        sampled_score_logits: (B, S, K) float32, from S samples of dropout.
    """

    log_density: NDArray[np.float32] | None
    score_logits: NDArray[np.float32] | None
    attributes: tuple[NDArray[np.float32], ...] = ()
    score_log_variance: NDArray[np.float32] | None = None
    attribute_log_variances: tuple[NDArray[np.float32] | None, ...] = ()
    sampled_score_logits: NDArray[np.float32] | None = None

    def row(self, index: int) -> NetworkOutput:
        """Return the outputs for one image of the batch, as a batch of one."""

        def cut(values: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
            return None if values is None else values[index : index + 1]

        return NetworkOutput(
            cut(self.log_density),
            cut(self.score_logits),
            tuple(values[index : index + 1] for values in self.attributes),
            cut(self.score_log_variance),
            tuple(map(cut, self.attribute_log_variances)),
            cut(self.sampled_score_logits),
        )


class Backend(Protocol):
    """A backend that computes the network.

    Attributes:
        name: `torch`, `onnx` or `openvino`.
        precision: Number format of the convolutions, never `auto`.
        is_concurrent: Whether several threads that call at once, each on one core, are faster than
            calls one after the other.
    """

    name: str
    precision: Precision
    is_concurrent: bool

    def infer(self, inputs: NDArray[np.float32], *, on_all_cores: bool = True) -> NetworkOutput:
        """Compute photos of one size; several threads may call at once.

        Args:
            inputs: (B, 3, h, w), normalised; (h, w) is the network's size or its transpose.
            on_all_cores: False: other calls run at the same time, so this one should take a single
                core, if the backend can choose.
        """
        ...


def refuse_precision(backend: str, precision: Precision, *known: Precision) -> None:
    """Check that `backend` can compute in `precision`.

    Raises:
        BackendError: The backend cannot.
    """
    if precision not in known:
        raise BackendError(
            f"`precision` should be {' or '.join(known)} for the backend {backend}. "
            f"Found {precision}."
        )
