"""What a run found, and its JSON.

The JSON is one object; fields are added, never changed, within a `schema`:

    schema        1
    measured_at   ISO 8601, UTC
    project       version of this package
    machine       cpu, cores, gpu, system, python, packages {name: version}
    weights       sha256, version
    options       backends, batch_sizes, photo_sizes (megapixels), seconds, threads, device, rounds
    missing       {backend: why it is not measured}
    photos        [{megapixels, height, width, bytes}]
    network       flops, weight_bytes, activation_bytes of one photo (see `limits.Work`)
    limits        convolution, matmul: operations a second; copy: bytes a second
    measurements  [{stage, backend, megapixels, batch_size, photos, one_thread, ms, ms_low, ms_high,
                  photos_per_s}]: milliseconds a photo, the median round and its quartiles, by the
                  clock, but of the processor where `one_thread`
    memory        [{backend, megapixels, ram_bytes, gpu_bytes}]: peaks of a process
    growth        [{cost, variable, xs, ms, slope, last_slope}]: of log ms over log x
    networks      [{backend, one {...}, two {...}}]: ms, weight_bytes, ram_bytes of each
    ratios        [{name, value, low, high}]: median and quartiles of the rounds; lower is better

Stages: `decode_pillow`, `decode_pillow_scaled`, `decode_opencv`, `decode_opencv_scaled` (with
nothing around them), `decode`, `prepare`, `preprocess`, `to_prediction`, `density`, `render` (see
`stages.photo_figures`), `forward` (backend `eager` is the reference), `predict_many`,
`convolution`, `matmul`, `copy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from saliency.bench.limits import Work
from saliency.bench.machine import Machine
from saliency.bench.memory import Peak
from saliency.bench.photos import BenchPhoto
from saliency.bench.timing import Measurement, Timing

SCHEMA = 1

MEGAPIXELS, PHOTOS = "megapixels", "photos"
"""What costs grow with."""


@dataclass(frozen=True)
class Ratio:
    """A cost as a multiple of another's in the same rounds; lower is better.

    Attributes:
        name: What of what; the same in every run.
        value: Median of the rounds.
        low: Lower quartile.
        high: Upper quartile.
    """

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Growth:
    """How a cost grows.

    Attributes:
        cost: The stage.
        variable: What it grows with, `MEGAPIXELS` or `PHOTOS`.
        xs: How many.
        ms: Milliseconds at each.
        slope: Of the line through their logarithms, median of the rounds: 1 is proportional.
        last_slope: Of the line through the two largest alone. What fits a cache is cheaper, so
            that costs leave it faster than in proportion.
    """

    cost: str
    variable: str
    xs: tuple[float, ...]
    ms: tuple[float, ...]
    slope: float
    last_slope: float


@dataclass(frozen=True)
class BackendPeak:
    """The most memory of a process that predicted photos of up to this size."""

    backend: str
    megapixels: float
    peak: Peak


@dataclass(frozen=True)
class NetworkCost:
    """What networks for both answers cost together.

    Attributes:
        timing: Of their forwards for one photo.
        weight_bytes: As float32.
        peak: Of a process that has them all.
    """

    timing: Timing
    weight_bytes: int
    peak: Peak


@dataclass(frozen=True)
class SideBySide:
    """One network with both heads against two with one head each."""

    backend: str
    one: NetworkCost
    two: NetworkCost


@dataclass(frozen=True)
class Results:
    """All that a run found; the fields are those of the module's JSON."""

    measured_at: str
    project: str
    machine: Machine
    weights: Mapping[str, str]
    options: Mapping[str, Any]
    missing: Mapping[str, str]
    photos: Sequence[BenchPhoto]
    network: Work
    limits: Mapping[str, float]
    measurements: Sequence[Measurement]
    memory: Sequence[BackendPeak]
    growth: Sequence[Growth]
    networks: Sequence[SideBySide]
    ratios: Sequence[Ratio]

    def find(self, stage: str, **labels: object) -> Timing | None:
        """Return the timing of a stage with these labels, if it was measured."""
        return find(self.measurements, stage, **labels)

    def ratio(self, name: str) -> Ratio | None:
        """Return a ratio by its name, if there is one."""
        return next((ratio for ratio in self.ratios if ratio.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return the module's JSON."""
        return {
            "schema": SCHEMA,
            "measured_at": self.measured_at,
            "project": self.project,
            "machine": asdict(self.machine),
            "weights": dict(self.weights),
            "options": dict(self.options),
            "missing": dict(self.missing),
            "photos": [
                {
                    "megapixels": photo.megapixels,
                    "height": photo.size[0],
                    "width": photo.size[1],
                    "bytes": len(photo.jpeg),
                }
                for photo in self.photos
            ],
            "network": asdict(self.network),
            "limits": dict(self.limits),
            "measurements": [_to_fields(measurement) for measurement in self.measurements],
            "memory": [
                {
                    "backend": row.backend,
                    "megapixels": row.megapixels,
                    "ram_bytes": row.peak.ram,
                    "gpu_bytes": row.peak.gpu,
                }
                for row in self.memory
            ],
            "growth": [asdict(growth) for growth in self.growth],
            "networks": [
                {"backend": row.backend, "one": _to_costs(row.one), "two": _to_costs(row.two)}
                for row in self.networks
            ],
            "ratios": [asdict(ratio) for ratio in self.ratios],
        }


def find(measurements: Sequence[Measurement], stage: str, **labels: object) -> Timing | None:
    """Return the timing of a stage whose other fields are `labels`, if there is one."""
    for measurement in measurements:
        if measurement.stage == stage and all(
            getattr(measurement, name) == value for name, value in labels.items()
        ):
            return measurement.timing
    return None


def _to_fields(measurement: Measurement) -> dict[str, Any]:
    timing = measurement.timing
    low, high = timing.spread_ms
    fields = {field: value for field, value in vars(measurement).items() if field != "timing"}
    return fields | {
        "ms": timing.ms,
        "ms_low": low,
        "ms_high": high,
        "photos_per_s": timing.photos_per_s,
    }


def _to_costs(cost: NetworkCost) -> dict[str, Any]:
    return {
        "ms": cost.timing.ms,
        "weight_bytes": cost.weight_bytes,
        "ram_bytes": cost.peak.ram,
    }
