"""Results as tables of text, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saliency.bench.photos import BenchPhoto
from saliency.bench.ratios import (
    EAGER,
    SCALED,
    WHOLE,
    find_fastest,
    name_decode,
    name_forward,
    name_throughput,
)
from saliency.bench.results import MEGAPIXELS, NetworkCost, Results
from saliency.bench.stages import OVERLAY_SIDE_PX
from saliency.bench.timing import Timing

LINEAR = 1.1
"""Slopes up to here count as linear; noise alone makes .05."""

MIB = 2**20
LIBRARIES = {"pillow": "Pillow", "opencv": "OpenCV"}


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: Above it.
        columns: Headings; the first `labels` columns are text, the others numbers.
        groups: Rows that belong together.
        note: Below it, what its numbers mean.
        labels: How many columns are text.
    """

    title: str
    columns: Sequence[str]
    groups: Sequence[Sequence[Sequence[str]]]
    note: str
    labels: int = 1


def to_tables(results: Results) -> list[Table]:
    """Return all tables, those without rows left out."""
    tables = [
        _forward(results),
        _steps(results),
        _throughput(results),
        _growth(results),
        _networks(results),
    ]
    return [table for table in tables if any(table.groups)]


def describe(results: Results) -> list[str]:
    """Return what was measured on what, a line each."""
    machine, options = results.machine, results.options
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    cores = f"{machine.cores} cores" if machine.cores != 1 else "1 core"
    lines = [
        f"{machine.cpu}, {cores}, {machine.system}, Python {machine.python}",
        packages,
        f"aesthetic-saliency {results.project}, weights {results.weights['version']} "
        f"(SHA-256 {results.weights['sha256'][:12]}), device {options['device']}",
    ]
    if machine.gpu:
        lines.insert(1, machine.gpu)
    lines += [f"not measured: {name}. {reason}" for name, reason in results.missing.items()]
    return lines


def _forward(results: Results) -> Table:
    groups = []
    for backend in (EAGER, *results.options["backends"]):
        rows = []
        for size in results.options["batch_sizes"]:
            timing = results.find("forward", backend=backend, batch_size=size)
            if timing is not None:
                of_eager = _ratio(results, name_forward(backend, size, EAGER))
                of_roofline = _ratio(results, name_forward(backend, size, "roofline"))
                rows.append([backend, str(size), *_costs(timing), of_eager or "1", of_roofline])
        groups.append(rows)
    work, batch_size = results.network, results.options["batch_sizes"][0]
    flops, moved = work.flops, work.bytes_of(batch_size)
    limits = results.limits
    fastest = max(("convolution", "matmul"), key=lambda stage: limits[stage])
    note = (
        "eager: PyTorch as it comes, channels first, float32; of eager: time as a multiple of its, "
        "in the same rounds. of roofline: as a multiple of the longer of "
        f"{flops / 1e9:.2f} GFLOP at the {limits[fastest] / 1e9:.0f} GFLOP/s of a large "
        f"{fastest} = {_ms(flops / limits[fastest] * 1e3)} ms, and of {moved / 1e6:.0f} MB at the "
        f"{limits['copy'] / 1e9:.1f} GB/s of a copy = {_ms(moved / limits['copy'] * 1e3)} ms "
        f"(batch {batch_size}: weights read once, what convolutions give written and read once)."
    )
    if results.options["threads"] is not None:
        note = f"Each alone on one thread, in milliseconds of the processor. {note}"
    columns = ("backend", "batch", "ms", "quartiles", "photos/s", "of eager", "of roofline")
    return Table("Forward of a photo", columns, groups, note)


def _steps(results: Results) -> Table:
    groups = [list(_steps_of(results, photo)) for photo in results.photos]
    note = (
        "Each alone on one thread, in milliseconds of the processor. of limit: as a multiple of "
        "the fastest bare decode of the same file in the same rounds, read_image of the whole "
        "one, prepare of the scaled one (halved as JPEG can, the network's pixels remaining)."
    )
    columns = ("step", "ms", "quartiles", "photos/s", "of limit")
    return Table("Steps of a photo, apart from the forward", columns, groups, note)


def _steps_of(results: Results, photo: BenchPhoto) -> Iterator[list[str]]:
    height, width = photo.size
    yield [f"{photo.megapixels:g} MP, {width}x{height}", "", "", "", ""]
    for ways, kind in ((WHOLE, "whole"), (SCALED, "scaled")):
        fastest = find_fastest(results.measurements, ways, photo.megapixels)
        if fastest is not None:
            way = LIBRARIES[fastest[0].split("_")[1]]
            yield [f"  {kind}, bare: {way}", *_costs(fastest[1]), ""]
    labels = {
        "decode": "read_image (whole)",
        "prepare": "prepare (scaled)",
        "preprocess": "  of that, preprocess",
        "to_prediction": "to_prediction",
        "density": "  with the whole density",
        "render": f"overlay of {OVERLAY_SIDE_PX} pixels",
    }
    for stage, label in labels.items():
        timing = results.find(stage, megapixels=photo.megapixels, backend=None)
        if timing is not None:
            ratio = _ratio(results, name_decode(stage, photo.megapixels))
            yield [f"  {label}", *_costs(timing), ratio]


def _throughput(results: Results) -> Table:
    groups = []
    for backend in results.options["backends"]:
        rows = []
        for row in results.memory:
            if row.backend != backend:
                continue
            labels = {"backend": backend, "megapixels": row.megapixels}
            many = results.find("predict_many", **labels)
            steps = [
                results.find(stage, one_thread=True, **labels)
                for stage in ("prepare", "forward", "to_prediction")
            ]
            ratio = results.ratio(name_throughput(backend, row.megapixels, "ceiling"))
            speed = "-" if many is None else f"{many.photos_per_s:.3g}"
            share = "" if ratio is None else f"{1 / ratio.value:.2f}"
            costs = " + ".join(f"{step.ms:.1f}" for step in steps if step is not None)
            ceiling = "" if many is None or ratio is None else _ms(many.photos_per_s * ratio.value)
            memory = [_mib(row.peak.ram)]
            if results.machine.gpu:
                memory.append(_mib(row.peak.gpu))
            rows.append([backend, f"{row.megapixels:g} MP", speed, costs, ceiling, share, *memory])
        groups.append(rows)
    least = "the cores did nothing else"
    if results.machine.gpu:
        least = "the slower of the GPU and the cores without the forward never waited"
    note = (
        "core-ms: prepare + forward + to_prediction of a photo, each alone on one thread. ceiling: "
        f"photos/s if {least}; share: how much of it is reached. MiB: peak of a process that "
        "predicted eight photos of this size and the smaller ones. -: not measured; what larger "
        "photos add is the same for every backend."
    )
    columns = ["backend", "photo", "photos/s", "core-ms", "ceiling", "share", "MiB"]
    if results.machine.gpu:
        columns.append("GPU MiB")
    return Table("predict_many, from file to prediction", columns, groups, note, labels=2)


def _growth(results: Results) -> Table:
    rows = []
    for growth in results.growth:
        verdict = "at most linear" if growth.last_slope <= LINEAR else "MORE THAN LINEAR"
        unit = "MP" if growth.variable == MEGAPIXELS else growth.variable
        span = f"{growth.xs[0]:g}-{growth.xs[-1]:g} {unit}"
        times = f"{_ms(growth.ms[0])}-{_ms(growth.ms[-1])}"
        slopes = [f"{growth.slope:.2f}", f"{growth.last_slope:.2f}"]
        rows.append([growth.cost, span, times, *slopes, verdict])
    note = (
        "slope: of log time over log size, 1 is proportional; last: between the two largest alone, "
        "since what fits a cache is cheaper and costs leave it faster than in proportion."
    )
    columns = ("cost of", "for", "ms", "slope", "last", "growth")
    return Table("Growth", columns, [rows], note, labels=2)


def _networks(results: Results) -> Table:
    groups = []
    for row in results.networks:
        ratio = _ratio(results, f"one network / two networks, {row.backend}")
        groups.append(
            [
                [row.backend, "one for both", *_network_costs(row.one), ratio],
                ["", "two", *_network_costs(row.two), "1"],
            ]
        )
    note = (
        "Forward of one photo; the two have its encoder and a head each. MB: of float32 "
        "weights. MiB: peak of a process that predicted eight photos."
    )
    columns = (
        "backend", "networks", "ms", "quartiles", "photos/s", "MB", "MiB", "of two"
    )  # fmt: skip
    title = "One network for both answers against two"
    return Table(title, columns, groups, note, labels=2)


def _network_costs(cost: NetworkCost) -> list[str]:
    return [*_costs(cost.timing), f"{cost.weight_bytes / 1e6:.1f}", _mib(cost.peak.ram)]


def _costs(timing: Timing) -> list[str]:
    """Return milliseconds, their quartiles, and photos a second."""
    low, high = timing.spread_ms
    return [_ms(timing.ms), f"{_ms(low)}-{_ms(high)}", _ms(timing.photos_per_s)]


def _ratio(results: Results, name: str) -> str:
    ratio = results.ratio(name)
    return "" if ratio is None else f"{ratio.value:.2f}"


def _ms(value: float) -> str:
    """Return three digits, and no exponents."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _mib(value: int | None) -> str:
    return "unknown" if value is None else f"{value / MIB:.0f}"
