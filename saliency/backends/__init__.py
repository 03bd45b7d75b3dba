"""Backends that compute the network: PyTorch, or ONNX Runtime or OpenVINO on exported networks.

Each module but this one, `base` and `graphs` needs its own package; nothing is imported before it
is chosen, because PyTorch alone takes seconds.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from saliency.backends.base import Backend, NetworkOutput, Precision
from saliency.backends.graphs import Graphs, find_graphs
from saliency.checkpoint import load_checkpoint, read_header
from saliency.devices import Device
from saliency.errors import BackendError
from saliency.extras import require_extra

__all__ = ["Backend", "BackendName", "NetworkOutput", "Precision", "open_backend"]

BackendName = Literal["auto", "torch", "onnx", "openvino"]
"""`auto` is the fastest that is installed and fits the checkpoint and the device."""

PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}
"""The package that each backend for exported networks needs."""


def open_backend(
    name: BackendName,
    weights: Path,
    device: Device,
    precision: Precision = "auto",
    threads: int | None = None,
    dropout_samples: int = 0,
) -> Backend:
    """Load the network of a checkpoint into a backend.

    Args:
        name: Name of the backend.
        weights: The checkpoint.
        device: Where to compute; only PyTorch computes elsewhere than on the CPU.
        precision: Number format of the convolutions.
        threads: On the CPU: how many threads will call `infer` at once, each computing on one
            core; None: one call at a time, on all cores. PyTorch's setting is the whole process's.
        dropout_samples: How often to compute the scores with dropout; only PyTorch can.

    Raises:
        BackendError: The backend is unknown, not installed, or does not fit the other arguments.
        ConfigError: `dropout_samples` is given, but the network was trained without dropout.
        CheckpointError: The checkpoint is missing, damaged or foreign.
    """
    if name not in ("auto", "torch", *PACKAGES):
        known = ", ".join(("auto", "torch", *PACKAGES))
        raise BackendError(f"`backend` should be one of {known}. Found {name!r}.")
    if dropout_samples and name not in ("auto", "torch"):
        raise BackendError(
            f"`backend` should be torch for dropout_samples. Found {name}, whose networks are "
            "exported without dropout."
        )
    name = "torch" if dropout_samples else name
    graphs = None
    if name != "torch" and device.type == "cpu":
        graphs = find_graphs(weights, read_header(weights).preprocessing)
    wanted = "The backend torch"
    if name == "auto":
        name = _choose(graphs, precision)
        wanted = f"Computing {weights} in {precision}"
        if graphs is None:
            wanted = f"{weights}, which has no exported network beside it,"
    if name == "torch":
        with require_extra(wanted, "torch", BackendError):
            return _open_torch(weights, device, precision, threads, dropout_samples)
    if device.type != "cpu":
        raise BackendError(
            f"`backend` should be torch to compute on {device}. Found {name}, which is for the CPU."
        )
    if find_spec(PACKAGES[name]) is None:
        raise BackendError(
            f"The backend {name} needs {PACKAGES[name]}, which is not installed; "
            f"to get it: pip install {PACKAGES[name]}"
        )
    if graphs is None:
        raise BackendError(
            f"The backend {name} needs the exported network of {weights} beside it. Found none "
            f"made from this file; to write it: saliency export {weights}"
        )
    if name == "openvino":
        from saliency.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(graphs, precision)
    from saliency.backends.onnx import OnnxBackend

    return OnnxBackend(graphs, precision, threads)


def _choose(graphs: Graphs | None, precision: Precision) -> BackendName:
    """Return the fastest backend that computes in `precision`.

    In float32 OpenVINO is no faster than ONNX Runtime, starts later and takes one call at a time.
    """
    wanted: BackendName = "openvino" if precision == "bfloat16" else "onnx"
    if graphs is None or precision == "float16" or find_spec(PACKAGES[wanted]) is None:
        return "torch"
    return wanted


def _open_torch(
    weights: Path,
    device: Device,
    precision: Precision,
    threads: int | None,
    dropout_samples: int,
) -> Backend:
    import torch

    from saliency.backends.torch import TorchBackend

    shares_cores = threads is not None and device.type == "cpu"
    if shares_cores:
        torch.set_num_threads(1)
    network = load_checkpoint(weights).network
    return TorchBackend(
        network,
        torch.device(str(device)),
        precision,
        is_concurrent=shares_cores,
        dropout_samples=dropout_samples,
    )
