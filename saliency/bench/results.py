"""The results of a run, their JSON, and what has become slower since a saved run.

The JSON is one object; within a `schema` fields are added but never changed:

    schema        2 (1 had more fields; both serve as a baseline)
    measured_at   ISO 8601, UTC
    project       version of this package
    machine       cpu, cores, gpu, system, python, packages {name: version}
    weights       sha256, version
    options       backends, batch_sizes, photo_sizes (megapixels), seconds, threads, device, rounds
    missing       {backend: reason why it was not measured}
    photos        [{megapixels, height, width, bytes}]
    measurements  [{stage, backend, megapixels, batch_size, one_thread, ms, ms_low, ms_high,
                  photos_per_s}]: milliseconds a photo, the median round and its quartiles, by the
                  clock, but of the processor where `one_thread`
    memory        [{backend, megapixels, ram_bytes, gpu_bytes}]: peaks of a process
    ratios        [{name, value, low, high}]: median and quartiles of the rounds; lower is better

Stages: those of `figures.photo_figures`, `forward` (backend `eager` is the reference) and
`predict_many`, from file to prediction on all cores.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from saliency.bench.photos import BenchPhoto
from saliency.bench.timing import Spread, Timings
from saliency.devices import Device, count_cores
from saliency.errors import ConfigError

SCHEMA = 2
TOLERANCE = 0.15
"""How much a ratio may grow from run to run, as a share of it."""

PACKAGES = (
    "numpy", "opencv-python-headless", "pillow", "torch", "timm", "onnxruntime", "openvino"
)  # fmt: skip
"""Packages whose versions influence the measurements."""


@dataclass(frozen=True)
class Ratio:
    """A cost as a multiple of another's in the same rounds; lower is better.

    Attributes:
        name: What is divided by what; the same in every run.
        value: Median of the rounds.
        low: Lower quartile.
        high: Upper quartile.
    """

    name: str
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, name: str, costs: Sequence[float], limits: Sequence[float]) -> Ratio:
        """Return each round's cost as a multiple of the same round's limit."""
        return cls(name, *Spread.of([c / limit for c, limit in zip(costs, limits, strict=True)]))


@dataclass(frozen=True)
class Machine:
    """The machine that was measured.

    Attributes:
        cpu: The processor's name.
        cores: Number of cores that this process may use.
        gpu: The GPU's name, where one computes.
        system: Operating system and architecture.
        python: Version of Python.
        packages: Name -> version of each installed package.
    """

    cpu: str
    cores: int
    gpu: str | None
    system: str
    python: str
    packages: Mapping[str, str]

    @classmethod
    def of(cls, device: Device) -> Machine:
        """Return the description of this machine when it computes on `device`."""
        return cls(
            cpu=_name_cpu(),
            cores=count_cores(),
            gpu=_name_gpu(device) if device.type == "cuda" else None,
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            packages={name: found for name in PACKAGES if (found := _find_version(name))},
        )


@dataclass(frozen=True)
class Results:
    """All results of a run; the fields are those of the module's JSON."""

    measured_at: str
    project: str
    machine: Machine
    weights: Mapping[str, str]
    options: Mapping[str, Any]
    missing: Mapping[str, str]
    photos: Sequence[BenchPhoto]
    timings: Timings
    memory: Sequence[Mapping[str, Any]]
    ratios: Sequence[Ratio]

    def to_json(self) -> dict[str, Any]:
        """Return the module's JSON."""
        photos = [
            {
                "megapixels": photo.megapixels,
                "height": photo.size[0],
                "width": photo.size[1],
                "bytes": len(photo.jpeg),
            }
            for photo in self.photos
        ]
        measurements = []
        for label, rounds_ms in self.timings.items():
            ms, low, high = Spread.of(rounds_ms)
            costs = {"ms": ms, "ms_low": low, "ms_high": high, "photos_per_s": 1000 / ms}
            measurements.append(label._asdict() | costs)
        given = {name: value for name, value in vars(self).items() if name != "timings"}
        return (
            {"schema": SCHEMA}
            | given
            | {
                "machine": asdict(self.machine),
                "photos": photos,
                "measurements": measurements,
                "ratios": [asdict(ratio) for ratio in self.ratios],
            }
        )


@dataclass(frozen=True)
class Change:
    """A ratio in the saved run and in this one."""

    before: Ratio
    now: Ratio

    @property
    def growth(self) -> float:
        """Relative growth of the ratio; 0.15 is 15 %."""
        return self.now.value / self.before.value - 1

    @property
    def is_worse(self) -> bool:
        """Whether it grew more than tolerated, and the interquartile ranges do not overlap."""
        return self.growth > TOLERANCE and self.now.low > self.before.high


@dataclass(frozen=True)
class Baseline:
    """The part of a saved run that is compared.

    Attributes:
        cpu: The processor's name.
        ratios: All its ratios; lower is better.
    """

    cpu: str
    ratios: Sequence[Ratio]

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read what `saliency bench --json` wrote.

        Raises:
            ConfigError: The file is something else, or of another schema.
            OSError: The file cannot be read.
        """
        try:
            saved: Any = json.loads(path.read_bytes())
            if saved["schema"] in (1, SCHEMA):
                return cls(saved["machine"]["cpu"], [Ratio(**ratio) for ratio in saved["ratios"]])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path} should be a file of `saliency bench --json`. Found something else."
            ) from error
        raise ConfigError(
            f"{path} should have schema {SCHEMA}. Found {saved['schema']}; measure again with "
            "`saliency bench --json`."
        )

    def changes(self, ratios: Sequence[Ratio]) -> list[Change]:
        """Return every ratio that both runs have.

        Raises:
            ConfigError: There is no such ratio.
        """
        before = {ratio.name: ratio for ratio in self.ratios}
        both = [Change(before[now.name], now) for now in ratios if now.name in before]
        if not both:
            raise ConfigError(
                "The baseline should have ratios of this run. Found none; measure both with the "
                "same --backend, --photo-size and --batch-size."
            )
        return both


def _name_gpu(device: Device) -> str:
    import torch

    return str(torch.cuda.get_device_name(device.index))


def _name_cpu() -> str:
    facts = Path("/proc/cpuinfo")  # on Linux
    for line in facts.read_text().splitlines() if facts.is_file() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
