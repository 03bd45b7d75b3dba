"""The reference: PyTorch, on any device."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from saliency.backends.base import NetworkOutput, Precision
from saliency.model import SaliencyNetwork
from saliency.types import Output

DROPOUT_SEED = 0
"""Seed of dropout: the same features are dropped for every photo and in every process."""


class TorchBackend:
    """A network in PyTorch; the only backend that computes on a GPU.

    Attributes:
        network: The network in evaluation mode, on the device.
    """

    name = "torch"

    def __init__(
        self,
        network: SaliencyNetwork,
        device: torch.device,
        precision: Precision = "float32",
        *,
        is_concurrent: bool = False,
        dropout_samples: int = 0,
    ) -> None:
        """Move `network` to `device`.

        Args:
            network: The network; it is changed in place.
            device: Where to compute.
            precision: Number format of the convolutions.
            is_concurrent: Whether PyTorch was told to compute each call on one core.
            dropout_samples: How often to compute the scores with dropout.

        Raises:
            ConfigError: `dropout_samples` is given, but the network was trained without dropout.
        """
        self.is_concurrent = is_concurrent
        self._device = device
        self.precision: Precision = precision
        if precision == "auto":
            self.precision = "float16" if device.type == "cuda" else "float32"
        self.network = network.eval().to(device)
        self.network.to(memory_format=torch.channels_last)
        self._kept: torch.Tensor | None = None
        if dropout_samples:
            self._kept = network.draw_dropout(dropout_samples, DROPOUT_SEED).to(device)

    @torch.inference_mode()
    def infer(self, inputs: NDArray[np.float32], *, on_all_cores: bool = True) -> NetworkOutput:
        """Return the outputs at the network's input size, on PyTorch's own threads."""
        images = torch.from_numpy(inputs)  # (B, 3, h, w)
        on_cuda = self._device.type == "cuda"
        if on_cuda:
            images = images.pin_memory()  # so that the copy runs in the background
        images = images.to(self._device, memory_format=torch.channels_last, non_blocking=on_cuda)
        dtype = getattr(torch, self.precision)
        with torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32):
            output = self.network(images)
        said = to_arrays(output)
        if self._kept is None:
            return said
        sampled = self.network.sample_score_logits(output, self._kept)
        return said._replace(sampled_score_logits=_to_numpy(sampled))


def to_arrays(output: Output) -> NetworkOutput:
    """Return the network's outputs for a batch as float32 arrays."""
    return NetworkOutput(
        _to_numpy(output.log_density),
        _to_numpy(output.score_logits),
        tuple(x.float().cpu().numpy() for x in output.attributes),
        _to_numpy(output.score_log_variance),
        tuple(map(_to_numpy, output.attribute_log_variances)),
    )


def _to_numpy(tensor: torch.Tensor | None) -> NDArray[np.float32] | None:
    return None if tensor is None else tensor.float().cpu().numpy()
