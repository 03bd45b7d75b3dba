"""Plain PyTorch, the reference for the speed of forward passes; only this module needs it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from saliency.backends import NetworkOutput, Precision
from saliency.backends.torch import to_arrays
from saliency.bench.figures import EAGER
from saliency.checkpoint import Checkpoint
from saliency.devices import Device
from saliency.model import SaliencyNetwork
from saliency.predictor import Predictor


class EagerBackend:
    """Plain PyTorch: channels first, float32, eager execution.

    The forward pass of every backend is compared with this one.
    """

    name = EAGER
    precision: Precision = "float32"
    is_concurrent = False

    def __init__(self, network: SaliencyNetwork, device: torch.device) -> None:
        """Move `network` to `device`, in place."""
        self._network = network.eval().to(device)
        self._device = device

    @torch.inference_mode()
    def infer(self, inputs: NDArray[np.float32], *, on_all_cores: bool = True) -> NetworkOutput:
        """Compute (B, 3, h, w); the outputs have the input's size."""
        return to_arrays(self._network(torch.from_numpy(inputs).to(self._device)))


def eager_predictor(checkpoint: Checkpoint, device: Device) -> Predictor:
    """Return a predictor that computes as `EagerBackend` does."""
    backend = EagerBackend(checkpoint.network, torch.device(str(device)))
    return Predictor(checkpoint, str(device), backend=backend)
