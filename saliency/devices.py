"""Choosing where to compute."""

import torch

from saliency.errors import DeviceError


def use_one_thread() -> None:
    """Compute each image on one core, for callers that compute several at once."""
    torch.set_num_threads(1)


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; asking for one that is absent is an error.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: the GPU if there is one, else the CPU.

    Raises:
        DeviceError: Unknown name, or the machine lacks the device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    unknown = DeviceError(f"`device` should be auto, cpu, cuda, cuda:N or mps. Found {name!r}.")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise unknown from error
    if device.type not in ("cpu", "cuda", "mps"):  # torch also knows devices without numbers
        raise unknown
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"`device` {name} should be present. Found {torch.cuda.device_count()} CUDA devices; "
            "use --device cpu, or check the driver with nvidia-smi."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("`device` mps should be present. Found no Apple GPU; use --device cpu.")
    return device
