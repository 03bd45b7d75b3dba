"""The whole bench, one part after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import torch

from saliency import __version__
from saliency.backends import BackendName
from saliency.bench.limits import (
    bare_decodes,
    convolve,
    copy_memory,
    count_work,
    multiply_matrices,
)
from saliency.bench.machine import describe_machine
from saliency.bench.memory import Task, measure_peaks
from saliency.bench.networks import (
    Networks,
    compare_networks,
    count_weights,
    write_single_networks,
)
from saliency.bench.photos import BenchPhoto, make_photo
from saliency.bench.ratios import (
    EAGER,
    forward_ratios,
    network_ratios,
    photo_ratios,
    throughput_ratios,
    to_growth,
)
from saliency.bench.results import (
    MEGAPIXELS,
    PHOTOS,
    BackendPeak,
    Growth,
    Ratio,
    Results,
    SideBySide,
    find,
)
from saliency.bench.stages import eager_predictor, forward_figures, photo_figures
from saliency.bench.throughput import Contender, count_figures, throughput_figures
from saliency.bench.timing import ROUNDS, Figure, Measurement, measure, one_thread
from saliency.checkpoint import Checkpoint, load_checkpoint, released_weights, to_sha256
from saliency.devices import Device, count_cores, find_device
from saliency.errors import BackendError
from saliency.images import read_image
from saliency.predictor import Predictor

BACKENDS: tuple[BackendName, ...] = ("onnx", "openvino", "torch")
EXPORTER = ("onnx", "onnxscript")
"""Packages that `saliency export` needs."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        backends: Which; none: all that are installed and go with the weights and the device.
        batch_sizes: Photos that go through the network together, for its forward.
        photo_sizes: Megapixels.
        seconds: For each figure; one that takes longer is measured five times nevertheless.
        threads: As for `Predictor.load`.
        device: Where to compute.
        weights: A checkpoint; None: the released one.
        photo: A file whose content is measured; None: a drawing.
        two_networks: Whether to compare with two networks for one answer each.
    """

    backends: tuple[BackendName, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 8)
    photo_sizes: tuple[float, ...] = (0.3, 2, 12, 50)
    seconds: float = 0.3
    threads: int | None = None
    device: str = "auto"
    weights: Path | None = None
    photo: Path | None = None
    two_networks: bool = False


def run_bench(plan: Plan, on_part: Callable[[str], None] = lambda _: None) -> Results:
    """Measure all of `plan`.

    Args:
        plan: What.
        on_part: Told what is measured next.

    Raises:
        BackendError: A backend that `plan` names is not installed or does not go with the rest.
        CheckpointError: The checkpoint is missing, damaged or foreign.
        DeviceError: The device is unknown or absent.
        ImageError: The photo cannot be read.
    """
    on_part("loading the networks, making photos")
    device = find_device(plan.device)
    weights = plan.weights or released_weights()
    checkpoint = load_checkpoint(weights)
    if plan.threads is not None:
        torch.set_num_threads(1)
    contenders, missing = load_contenders(plan, weights, device)
    default = next(iter(contenders))
    predictor = contenders[default].predictor
    source = None if plan.photo is None else read_image(plan.photo)
    photos = [make_photo(size, source) for size in sorted(plan.photo_sizes)]
    precision = getattr(torch, predictor.precision)
    size = checkpoint.preprocessing.height, checkpoint.preprocessing.width
    work = count_work(checkpoint.network, size, precision.itemsize)
    on_torch = torch.device(str(device))
    speeds = [
        convolve(on_torch, precision),
        multiply_matrices(on_torch, precision),
        copy_memory(on_torch),
    ]

    measurements: list[Measurement] = []
    ratios: list[Ratio] = []

    def measure_part(part: str, figures: Sequence[Figure]) -> list[Measurement]:
        return measure(
            figures, plan.seconds, lambda number: on_part(f"{part}: {number} of {ROUNDS} rounds")
        )

    forwards = {EAGER: eager_predictor(checkpoint, on_torch)}
    forwards |= {name: contender.predictor for name, contender in contenders.items()}
    figures = [speed.figure for speed in speeds]
    figures += forward_figures(forwards, photos[0], plan.batch_sizes)
    if plan.threads is not None and device.type == "cpu":
        figures = [replace(figure, one_thread=True) for figure in figures]
    measurements += measure_part("forward of each backend", figures)
    amounts = {speed.figure.stage: speed.amount for speed in speeds}
    ratios += forward_ratios(measurements, work, amounts)

    figures = []
    for photo in photos:
        figures += bare_decodes(photo, checkpoint.preprocessing.height)
        figures += photo_figures(predictor, photo)
    measurements += measure_part("steps of photos", figures)
    for photo in photos:
        ratios += photo_ratios(measurements, photo.megapixels)

    figures = throughput_figures(contenders, photos[0])
    for photo in photos[1:]:  # what they add is the same for every backend
        figures += throughput_figures({default: contenders[default]}, photo)
    measurements += measure_part("predict_many", figures)
    for name, photo in product(contenders, photos):
        ratios += throughput_ratios(
            measurements, name, photo.megapixels, count_cores(), device.type != "cpu"
        )
    counted = measure_part("ever more photos", count_figures(default, predictor, photos[0]))

    networks: list[SideBySide] = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{photo.megapixels:g}.jpg" for photo in photos]
        for photo, file in zip(photos, files, strict=True):
            file.write_bytes(photo.jpeg)
        on_part("memory")
        memory = [
            peak
            for name in contenders
            for peak in measure_memory(name, weights, device, plan.threads, photos, files)
        ]
        if plan.two_networks:
            on_part("one network against two")
            networks = compare_all(
                plan, weights, checkpoint, list(contenders), device, photos[0], files[0]
            )
    ratios += network_ratios(networks)
    return Results(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        project=__version__,
        machine=describe_machine(device),
        weights={"sha256": to_sha256(weights), "version": checkpoint.card.version},
        options=_to_options(plan, contenders, device),
        missing=missing,
        photos=photos,
        network=work,
        limits={
            stage: amount * 1000 / timing.ms
            for stage, amount in amounts.items()
            if (timing := find(measurements, stage)) is not None
        },
        measurements=measurements,
        memory=memory,
        growth=find_growth(measurements, counted, photos, default),
        networks=networks,
        ratios=ratios,
    )


def load_contenders(
    plan: Plan, weights: Path, device: Device
) -> tuple[dict[BackendName, Contender], dict[str, str]]:
    """Load the backends, the fastest first; those that nobody asked for may be missing.

    Returns:
        The backends; why others are missing.

    Raises:
        BackendError: One that `plan` names is missing.
    """

    def load(name: BackendName, threads: int | None) -> Predictor:
        return Predictor.load(weights, str(device), "auto", name, threads)

    contenders: dict[BackendName, Contender] = {}
    missing: dict[str, str] = {}
    for name in plan.backends or BACKENDS:
        try:
            predictor = load(name, plan.threads)
        except BackendError as error:
            if plan.backends:
                raise
            missing[name] = str(error)
            continue
        with one_thread():  # loading sets PyTorch's threads for good
            contenders[name] = Contender(predictor, load(name, 1))
    return contenders, missing


def measure_memory(
    name: BackendName,
    weights: Path,
    device: Device,
    threads: int | None,
    photos: Sequence[BenchPhoto],
    files: Sequence[Path],
) -> list[BackendPeak]:
    """Return the peaks of a process that predicts `files`, the smallest first."""
    task = Task([str(weights)], name, str(device), threads, [str(file) for file in files])
    return [
        BackendPeak(name, photo.megapixels, peak)
        for photo, peak in zip(photos, measure_peaks(task), strict=True)
    ]


def compare_all(
    plan: Plan,
    weights: Path,
    checkpoint: Checkpoint,
    backends: Sequence[BackendName],
    device: Device,
    photo: BenchPhoto,
    file: Path,
) -> list[SideBySide]:
    """Compare the network with two on each backend; exported ones only where export is possible.

    Nothing is compared for a network with one head.
    """
    architecture, network = checkpoint.network.architecture, checkpoint.network
    if not (architecture.saliency and architecture.aesthetics):
        return []
    if not all(find_spec(package) for package in EXPORTER):
        backends = [name for name in backends if name == "torch"]
    one = Networks((weights,), count_weights([network]))
    two = write_single_networks(architecture, checkpoint.preprocessing, file.parent)
    if set(backends) - {"torch"}:
        from saliency.backends.export import export_graphs  # needs the extra `export`

        for path in two.paths:
            export_graphs(path)
    return [
        compare_networks(one, two, name, photo, file, plan.seconds, str(device), plan.threads)
        for name in backends
    ]


def find_growth(
    measurements: Sequence[Measurement],
    counted: Sequence[Measurement],
    photos: Sequence[BenchPhoto],
    default: BackendName,
) -> list[Growth]:
    """Return how costs grow with the number of photos and with their pixels."""
    by_count = [(float(count.photos), count.timing) for count in counted]
    found = [to_growth("predict_many", PHOTOS, by_count)]
    stages = {"decode": None, "prepare": None, "density": None, "predict_many": default}
    for stage, backend in stages.items():
        by_size = [
            (photo.megapixels, timing)
            for photo in photos
            if (timing := find(measurements, stage, megapixels=photo.megapixels, backend=backend))
        ]
        found.append(to_growth(stage, MEGAPIXELS, by_size))
    return [growth for growth in found if growth is not None]


def _to_options(plan: Plan, backends: Iterable[BackendName], device: Device) -> dict[str, object]:
    return {
        "backends": list(backends),
        "batch_sizes": list(plan.batch_sizes),
        "photo_sizes": list(plan.photo_sizes),
        "seconds": plan.seconds,
        "rounds": ROUNDS,
        "threads": plan.threads,
        "device": str(device),
        "photo": None if plan.photo is None else str(plan.photo),
    }
