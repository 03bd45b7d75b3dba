"""What was measured on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from saliency.devices import Device, count_cores

PACKAGES = (
    "numpy", "opencv-python-headless", "pillow", "torch", "timm", "onnxruntime", "openvino"
)  # fmt: skip
"""Whose versions change what is measured."""


@dataclass(frozen=True)
class Machine:
    """Where it was measured.

    Attributes:
        cpu: The processor's name.
        cores: How many this process may use.
        gpu: The GPU's name, where one computes.
        system: Operating system and architecture.
        python: Version.
        packages: Name -> version of those that are installed.
    """

    cpu: str
    cores: int
    gpu: str | None
    system: str
    python: str
    packages: Mapping[str, str]


def describe_machine(device: Device) -> Machine:
    """Return the facts of this machine, computing on `device`."""
    return Machine(
        cpu=_name_cpu(),
        cores=count_cores(),
        gpu=torch.cuda.get_device_name(device.index) if device.type == "cuda" else None,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=dict(_find_versions()),
    )


def _name_cpu() -> str:
    facts = Path("/proc/cpuinfo")  # of Linux
    for line in facts.read_text().splitlines() if facts.is_file() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _find_versions() -> list[tuple[str, str]]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
