"""The whole bench, one part after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from saliency import __version__
from saliency.backends import BackendName
from saliency.bench.figures import (
    EAGER,
    Contender,
    forward_figures,
    photo_figures,
)
from saliency.bench.memory import measure_peaks
from saliency.bench.photos import make_photo
from saliency.bench.results import Machine, Ratio, Results
from saliency.bench.timing import ROUNDS, Figure, Label, Timings, measure, one_thread
from saliency.checkpoint import find_weights, load_checkpoint, read_header, to_sha256
from saliency.devices import Device, count_cores, find_device
from saliency.errors import BackendError
from saliency.extras import require_extra
from saliency.images import read_image
from saliency.predictor import Predictor

BACKENDS: tuple[BackendName, ...] = ("onnx", "openvino", "torch")


@dataclass(frozen=True)
class Plan:
    """A plan of what to measure.

    Attributes:
        backends: Names of the backends; none: all that are installed and fit weights and device.
        batch_sizes: Numbers of photos in one forward pass.
        photo_sizes: Sizes of the photos in megapixels.
        seconds: Time for each figure; slower ones are measured five times nevertheless.
        threads: Number of threads, as for `Predictor.load`.
        device: Where to compute.
        weights: Path of a checkpoint; None: the released one.
        photo: Path of a photo to measure with; None: a drawing.
    """

    backends: tuple[BackendName, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 8)
    photo_sizes: tuple[float, ...] = (0.3, 2, 12, 50)
    seconds: float = 0.3
    threads: int | None = None
    device: str = "auto"
    weights: Path | None = None
    photo: Path | None = None


def run_bench(plan: Plan, on_part: Callable[[str], None] = lambda _: None) -> Results:
    """Measure all of `plan`.

    Args:
        plan: What to measure.
        on_part: Called with the name of the part that is measured next.

    Raises:
        BackendError: A backend in `plan` is not installed or does not fit the other settings.
        CheckpointError: The checkpoint is missing, damaged or foreign.
        DeviceError: The device is unknown or absent.
        ImageError: The photo cannot be read.
    """
    on_part("loading the networks, making photos")
    device = find_device(plan.device)
    weights = find_weights(plan.weights)
    contenders, missing = load_contenders(plan, weights, device)
    default = next(iter(contenders))
    source = None if plan.photo is None else read_image(plan.photo)
    photos = [make_photo(size, source) for size in sorted(plan.photo_sizes)]
    timings: Timings = {}

    def measure_part(part: str, figures: Sequence[Figure]) -> None:
        def announce(number: int) -> None:
            on_part(f"{part}: {number} of {ROUNDS} rounds")

        timings.update(measure(figures, plan.seconds, announce))

    forwards: dict[str, Predictor] = {
        name: contender.predictor for name, contender in contenders.items()
    }
    try:
        forwards[EAGER] = load_eager(weights, device, plan.threads)
    except BackendError as error:
        missing[EAGER] = str(error)
    alone = plan.threads is not None and device.type == "cpu"
    measure_part(
        "forward of each backend", forward_figures(forwards, photos[0], plan.batch_sizes, alone)
    )
    predictor = contenders[default].predictor
    steps = [figure for photo in photos for figure in photo_figures(predictor, photo)]
    measure_part("steps of photos", steps)
    many = [f for name, one in contenders.items() for f in one.figures(name, photos[0])]
    for photo in photos[1:]:  # larger photos add the same for every backend
        many += contenders[default].figures(default, photo)
    measure_part("predict_many", many)

    on_part("memory")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{photo.megapixels:g}.jpg" for photo in photos]
        for photo, file in zip(photos, files, strict=True):
            file.write_bytes(photo.jpeg)
        memory = [
            {"backend": name, "megapixels": photo.megapixels, **peak}
            for name in contenders
            for photo, peak in zip(
                photos, measure_peaks(weights, name, str(device), plan.threads, files), strict=True
            )
        ]
    return Results(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        project=__version__,
        machine=Machine.of(device),
        weights={"sha256": to_sha256(weights), "version": read_header(weights).card.version},
        options={
            "backends": list(contenders),
            "batch_sizes": list(plan.batch_sizes),
            "photo_sizes": list(plan.photo_sizes),
            "seconds": plan.seconds,
            "rounds": ROUNDS,
            "threads": plan.threads,
            "device": str(device),
            "photo": None if plan.photo is None else str(plan.photo),
        },
        missing=missing,
        photos=photos,
        timings=timings,
        memory=memory,
        ratios=list(find_ratios(timings, count_cores())),
    )


def load_contenders(
    plan: Plan, weights: Path, device: Device
) -> tuple[dict[BackendName, Contender], dict[str, str]]:
    """Load the backends, the fastest first; those that the plan does not name may be missing.

    Returns:
        The backends, and the reason for each one that is missing.

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


def load_eager(weights: Path, device: Device, threads: int | None) -> Predictor:
    """Load plain PyTorch.

    Raises:
        BackendError: PyTorch is not installed.
    """
    with require_extra("Eager PyTorch", "torch", BackendError):
        import torch

        from saliency.bench.eager import eager_predictor
    if threads is not None:
        torch.set_num_threads(1)
    return eager_predictor(load_checkpoint(weights), device)


def find_ratios(timings: Timings, cores: int) -> Iterator[Ratio]:
    """Yield every cost that can be compared with another one, round by round.

    Forward passes are compared with eager PyTorch; `decode` and `prepare` with the fastest bare
    decode of the same file, whole or scaled; `predict_many` with PyTorch's, and with its ceiling:
    the core-milliseconds of its steps, each alone on one thread, over the cores; with a GPU, the
    longer one of its forward pass and of the other steps over the cores.
    """
    for label, costs in timings.items():
        size = f"{label.megapixels:g} MP" if label.megapixels is not None else ""
        if label.stage == "forward" and label.batch_size is not None and label.backend != EAGER:
            name = f"forward {label.backend}, batch {label.batch_size} / eager"
            if (eager := timings.get(label._replace(backend=EAGER))) is not None:
                yield Ratio.of(name, costs, eager)
        elif label.stage in ("decode", "prepare") and label.backend is None:
            kinds = ("bare whole",) if label.stage == "decode" else ("bare",)
            fastest = _find_fastest(timings, kinds, label.megapixels)
            yield Ratio.of(f"{label.stage} {size} / bare decode", costs, fastest)
        elif label.stage == "predict_many":
            name = f"predict_many {label.backend}, {size}"
            torchs = timings.get(label._replace(backend="torch"))
            if torchs is not None and label.backend != "torch":
                yield Ratio.of(f"{name} / torch", costs, torchs)
            yield Ratio.of(f"{name} / ceiling", costs, _find_ceiling(timings, label, cores))


def _find_fastest(
    timings: Mapping[Label, tuple[float, ...]], kinds: tuple[str, ...], megapixels: float | None
) -> tuple[float, ...]:
    """Return the rounds of the fastest of the stages whose names begin with one of `kinds`."""
    ways = [
        costs
        for label, costs in timings.items()
        if label.stage.startswith(kinds) and label.megapixels == megapixels
    ]
    return min(ways, key=median)


def _find_ceiling(timings: Timings, many: Label, cores: int) -> list[float]:
    """Return the least milliseconds that `predict_many` could need for a photo, in each round."""
    on_gpu = many._replace(stage="forward") in timings
    on_cores = ["prepare", "to_prediction"] + ([] if on_gpu else ["forward"])
    steps = [timings[many._replace(stage=stage, one_thread=True)] for stage in on_cores]
    least = [sum(costs) / cores for costs in zip(*steps, strict=True)]
    if on_gpu:
        forward = timings[many._replace(stage="forward")]
        least = [max(pair) for pair in zip(least, forward, strict=True)]
    return least
