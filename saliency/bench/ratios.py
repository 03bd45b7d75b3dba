"""Every cost as a multiple of its limit or of a reference, round by round."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from saliency.bench.limits import Work
from saliency.bench.results import PHOTOS, Growth, Ratio, SideBySide, find
from saliency.bench.timing import Measurement, Timing, quartiles

EAGER, TORCH = "eager", "torch"
WHOLE = ("decode_pillow", "decode_opencv")
ROOFLINE = ("convolution", "matmul", "copy")
SCALED = (*WHOLE, "decode_pillow_scaled", "decode_opencv_scaled")


def to_ratio(name: str, costs: Sequence[float], limits: Sequence[float]) -> Ratio:
    """Return costs of rounds as multiples of the same rounds' limits."""
    values = [cost / limit for cost, limit in zip(costs, limits, strict=True)]
    return Ratio(name, statistics.median(values), *quartiles(values))


def photo_ratios(measurements: Sequence[Measurement], megapixels: float) -> Iterator[Ratio]:
    """Yield decoding against the fastest bare decode of the same file."""
    for stage, ways in (("decode", WHOLE), ("prepare", SCALED)):
        cost = find(measurements, stage, megapixels=megapixels, backend=None)
        fastest = find_fastest(measurements, ways, megapixels)
        if cost is not None and fastest is not None:
            name = name_decode(stage, megapixels)
            yield to_ratio(name, cost.rounds_ms, fastest[1].rounds_ms)


def find_fastest(
    measurements: Sequence[Measurement], stages: Sequence[str], megapixels: float
) -> tuple[str, Timing] | None:
    """Return the stage that takes least, and what it takes."""
    found = [(stage, find(measurements, stage, megapixels=megapixels)) for stage in stages]
    timed = [(stage, timing) for stage, timing in found if timing is not None]
    return min(timed, key=lambda one: one[1].ms, default=None)


def forward_ratios(
    measurements: Sequence[Measurement], work: Work, amounts: Mapping[str, int]
) -> Iterator[Ratio]:
    """Yield forwards against eager PyTorch and against the roofline.

    The roofline is the longer of the network's operations at the speed of a large convolution or
    matrix product, whichever is faster, and of its bytes at the speed of a copy.

    Source: Williams, Waterman, Patterson, Roofline: an insightful visual performance model for
    multicore architectures, CACM 2009.

    Args:
        measurements: With `convolution`, `matmul` and `copy` for a roofline.
        work: Of one photo.
        amounts: Operations or bytes of a call of each of these.
    """
    costs_of_one = {
        stage: [ms / amount for ms in timing.rounds_ms]
        for stage, amount in amounts.items()
        if (timing := find(measurements, stage)) is not None
    }
    for measurement in measurements:
        if measurement.stage != "forward" or measurement.batch_size is None:
            continue
        backend, batch_size = str(measurement.backend), measurement.batch_size
        costs = measurement.timing.rounds_ms
        eager = find(measurements, "forward", backend=EAGER, batch_size=batch_size)
        if eager is not None and backend != EAGER:
            yield to_ratio(name_forward(backend, batch_size, EAGER), costs, eager.rounds_ms)
        if len(costs_of_one) == len(ROOFLINE):
            roofline = [
                max(work.flops * min(convolution, matmul), work.bytes_of(batch_size) * copy)
                for convolution, matmul, copy in zip(
                    *(costs_of_one[stage] for stage in ROOFLINE), strict=True
                )
            ]
            yield to_ratio(name_forward(backend, batch_size, "roofline"), costs, roofline)


def throughput_ratios(
    measurements: Sequence[Measurement], backend: str, megapixels: float, cores: int, on_gpu: bool
) -> Iterator[Ratio]:
    """Yield the time of `predict_many` against PyTorch's and against the least that is possible.

    That is the core-milliseconds of its steps, each alone on one thread, over the cores; with a
    GPU, the longer of its forward and of the other steps over the cores.
    """
    labels = {"backend": backend, "megapixels": megapixels}
    many = find(measurements, "predict_many", **labels)
    steps = [
        find(measurements, stage, one_thread=True, **labels)
        for stage in ("prepare", "forward", "to_prediction")
    ]
    torch = find(measurements, "predict_many", backend=TORCH, megapixels=megapixels)
    if many is not None and torch is not None and backend != TORCH:
        yield to_ratio(name_throughput(backend, megapixels, TORCH), many.rounds_ms, torch.rounds_ms)
    if many is None or any(step is None for step in steps):
        return
    prepare, forward, postprocess = (step for step in steps if step is not None)
    least = []
    for i, on_cores in enumerate(map(sum, zip(prepare.cpu_ms, postprocess.cpu_ms, strict=True))):
        if on_gpu:
            least.append(max(forward.wall_ms[i], on_cores / cores))
        else:
            least.append((on_cores + forward.cpu_ms[i]) / cores)
    yield to_ratio(name_throughput(backend, megapixels, "ceiling"), many.rounds_ms, least)


def network_ratios(networks: Sequence[SideBySide]) -> Iterator[Ratio]:
    """Yield one network's time against that of two."""
    for row in networks:
        name = f"one network / two networks, {row.backend}"
        yield to_ratio(name, row.one.timing.rounds_ms, row.two.timing.rounds_ms)


def name_decode(stage: str, megapixels: float) -> str:
    """Return the name of a ratio to the fastest bare decode."""
    return f"{stage} {megapixels:g} MP / bare decode"


def name_forward(backend: str, batch_size: int, reference: str) -> str:
    """Return the name of a forward's ratio."""
    return f"forward {backend}, batch {batch_size} / {reference}"


def name_throughput(backend: str, megapixels: float, reference: str) -> str:
    """Return the name of a ratio of `predict_many`."""
    return f"predict_many {backend}, {megapixels:g} MP / {reference}"


def to_growth(cost: str, variable: str, points: Sequence[tuple[float, Timing]]) -> Growth | None:
    """Return how a stage's cost grows; nothing from less than two points.

    Args:
        cost: The stage.
        variable: What x counts.
        points: (x, timing), measured in the same rounds; milliseconds are a photo's.
    """
    if len(points) < 2:
        return None
    xs = [x for x, _ in points]
    all_ms = list(zip(*(timing.rounds_ms for _, timing in points), strict=True))
    if variable == PHOTOS:
        all_ms = [tuple(x * ms for x, ms in zip(xs, row, strict=True)) for row in all_ms]
    middle = tuple(map(statistics.median, zip(*all_ms, strict=True)))
    slope = statistics.median(_fit_slope(xs, row) for row in all_ms)
    last_slope = statistics.median(_fit_slope(xs[-2:], row[-2:]) for row in all_ms)
    return Growth(cost, variable, tuple(xs), middle, slope, last_slope)


def _fit_slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the slope of the line through the logarithms."""
    return statistics.linear_regression(list(map(math.log, xs)), list(map(math.log, ys))).slope
