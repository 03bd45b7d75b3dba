"""One network for both answers against two of the same size for one answer each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from saliency.backends import BackendName
from saliency.bench.memory import Task, measure_peaks
from saliency.bench.photos import BenchPhoto
from saliency.bench.results import NetworkCost, SideBySide
from saliency.bench.timing import Figure, measure
from saliency.checkpoint import Card, Checkpoint, save_checkpoint
from saliency.model import Architecture, SaliencyNetwork
from saliency.predictor import Predictor, PreparedImage
from saliency.preprocessing import Preprocessing


@dataclass(frozen=True)
class Networks:
    """Networks that give both answers together.

    Attributes:
        paths: Their checkpoints.
        weight_bytes: Of all, as float32.
    """

    paths: tuple[Path, ...]
    weight_bytes: int


def count_weights(networks: Sequence[SaliencyNetwork]) -> int:
    """Return the bytes of all weights as float32."""
    return sum(4 * p.numel() for network in networks for p in network.parameters())


def write_single_networks(
    architecture: Architecture, preprocessing: Preprocessing, folder: Path
) -> Networks:
    """Write a network for each head to `folder`, untrained: what they cost is the same.

    Args:
        architecture: Of the network with both heads.
        preprocessing: Likewise.
        folder: Where the checkpoints belong.
    """
    single = replace(architecture, guidance=False, score_attention=False)
    networks = {
        folder / "saliency.safetensors": SaliencyNetwork(replace(single, aesthetics=False)),
        folder / "aesthetics.safetensors": SaliencyNetwork(replace(single, saliency=False)),
    }
    for path, network in networks.items():
        save_checkpoint(path, Checkpoint(network.eval(), preprocessing, Card()))
    return Networks(tuple(networks), count_weights(list(networks.values())))


def compare_networks(
    one: Networks,
    two: Networks,
    backend: BackendName,
    photo: BenchPhoto,
    photo_file: Path,
    seconds: float,
    device: str,
    threads: int | None,
) -> SideBySide:
    """Measure the forward of one photo through the one network and through both others.

    Args:
        one: For both answers.
        two: For one answer each.
        backend: What computes.
        photo: What is predicted.
        photo_file: The same on disk.
        seconds: For each of the two figures.
        device: Where.
        threads: As for `Predictor.load`.
    """
    figures = []
    for stage, networks in (("one_network", one), ("two_networks", two)):
        loaded = [Predictor.load(path, device, "auto", backend, threads) for path in networks.paths]
        prepared = loaded[0].prepare(photo.jpeg)

        forward = partial(_infer_all, loaded, prepared)
        one_thread = threads is not None and device == "cpu"
        figures.append(Figure(stage, forward, backend=backend, one_thread=one_thread))
    measurements = measure(figures, seconds)
    costs = []
    for networks, measurement in zip((one, two), measurements, strict=True):
        weights = [str(path) for path in networks.paths]
        [peak] = measure_peaks(Task(weights, backend, device, threads, [str(photo_file)]))
        costs.append(NetworkCost(measurement.timing, networks.weight_bytes, peak))
    return SideBySide(backend, *costs)


def _infer_all(predictors: Sequence[Predictor], prepared: PreparedImage) -> None:
    for predictor in predictors:
        predictor.infer([prepared])
