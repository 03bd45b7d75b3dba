"""Choosing where to compute. PyTorch is imported only where a GPU may be, for it takes seconds."""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from saliency.errors import DeviceError
from saliency.extras import require_extra

if TYPE_CHECKING:
    import torch

NAME = re.compile(r"(cpu|cuda|mps)(?::(\d+))?")
DRIVERS = ("libcuda.so.1", "nvcuda.dll")


@dataclass(frozen=True, slots=True)
class Device:
    """A place to compute.

    Attributes:
        type: `cpu`, `cuda` or `mps`.
        index: Which of several; None for the first.
    """

    type: str
    index: int | None = None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # knows of limits such as taskset's
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_device(name: str = "auto") -> Device:
    """Return the device called `name`; asking for one that is absent is an error.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: the GPU if there is one, else the CPU.

    Raises:
        DeviceError: Unknown name, or the machine lacks the device, or PyTorch is not installed.
    """
    if name == "auto":
        return Device("cuda" if _may_have_gpu() and _finds_gpu() else "cpu")
    matched = NAME.fullmatch(name)
    if not matched:
        raise DeviceError(f"`device` should be auto, cpu, cuda, cuda:N or mps. Found {name!r}.")
    device = Device(matched[1], int(matched[2]) if matched[2] else None)
    if device.type == "cpu":
        return device
    with require_extra(f"`device` {name}", "torch", DeviceError):
        import torch
    if device.type == "cuda" and (device.index or 0) >= (count := _count_cuda_devices()):
        raise DeviceError(
            f"`device` {name} should be present. Found {count} CUDA devices; "
            "use --device cpu, or check the driver with nvidia-smi."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("`device` mps should be present. Found no Apple GPU; use --device cpu.")
    return device


def resolve_device(name: str = "auto") -> torch.device:
    """Return PyTorch's device called `name`.

    Raises:
        DeviceError: As in `find_device`.
    """
    import torch

    return torch.device(str(find_device(name)))


def _may_have_gpu() -> bool:
    """Return whether there is a driver of NVIDIA or AMD, without importing PyTorch."""
    if Path("/dev/kfd").exists():  # AMD's, which PyTorch calls CUDA too
        return True
    for library in DRIVERS:
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False


def _finds_gpu() -> bool:
    """Return whether PyTorch is installed and finds a GPU; nothing else computes on one."""
    return find_spec("torch") is not None and _count_cuda_devices() > 0


def _count_cuda_devices() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
