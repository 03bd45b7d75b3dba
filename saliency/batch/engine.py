"""Engines that take photos from file to result: threads of this process, or Ray's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from saliency.backends import BackendName
from saliency.batch.journal import Journal
from saliency.batch.naming import Photo
from saliency.batch.pictures import Pictures
from saliency.batch.pipeline import Outcome, predict_files
from saliency.devices import count_cores
from saliency.errors import ConfigError
from saliency.predictor import Predictor

EngineName = Literal["local", "ray"]


class Computing(NamedTuple):
    """Device, backend and precision of convolutions of an engine."""

    device: str
    backend: str
    precision: str


class Engine(Protocol):
    """Predicts photos into an output folder."""

    @property
    def computing(self) -> Computing:
        """Device, backend and precision."""

    def describe(self) -> str:
        """Return device and backend as text for people."""

    def predict_files(
        self,
        photos: Sequence[Photo],
        journal: Journal,
        pictures: Pictures,
        *,
        is_stopping: Callable[[], bool],
    ) -> Iterator[Outcome]:
        """Do what `pipeline.predict_files` does; outcomes may come in another order."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Threads of this process.

    Attributes:
        predictor: The predictor that all threads use.
        batch_size: Photos that go through the network together.
        workers: Number of threads.
    """

    predictor: Predictor
    batch_size: int
    workers: int

    @property
    def computing(self) -> Computing:
        """Device, backend and precision."""
        predictor = self.predictor
        return Computing(str(predictor.device), predictor.backend.name, predictor.precision)

    def describe(self) -> str:
        """Return device and backend as text for people."""
        return self.predictor.describe()

    def predict_files(
        self,
        photos: Sequence[Photo],
        journal: Journal,
        pictures: Pictures,
        *,
        is_stopping: Callable[[], bool],
    ) -> Iterator[Outcome]:
        """Do what `pipeline.predict_files` does."""
        return predict_files(
            self.predictor,
            photos,
            journal,
            pictures,
            batch_size=self.batch_size,
            workers=self.workers,
            is_stopping=is_stopping,
        )


@contextmanager
def open_engine(
    name: EngineName,
    *,
    weights: Path | None,
    device: str,
    backend: BackendName,
    batch_size: int | None,
    workers: int | None,
    ray_address: str | None,
) -> Iterator[Engine]:
    """Yield an engine; a Ray that was started for it ends with the context.

    Args:
        name: Which engine.
        weights: As for `Predictor.load`.
        device: As for `Predictor.load`.
        backend: As for `Predictor.load`.
        batch_size: Photos that go through the network together; None: chosen for the device.
        workers: Threads, or processes of Ray; None: one per core, or with Ray one per GPU if
            there are GPUs.
        ray_address: Address of a running cluster; None starts Ray on this machine.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster.
        SaliencyError: The weights cannot be loaded.
    """
    if name == "local":
        workers = workers or count_cores()
        threads = workers if workers > 1 else None
        predictor = Predictor.load(weights, device, backend=backend, threads=threads)
        yield LocalEngine(predictor, batch_size or predictor.batch_size, workers)
        return
    try:
        from saliency.batch.ray_engine import RayEngine, run_ray
    except ImportError as error:
        raise ConfigError(
            "The engine `ray` needs Ray, which is not installed; to get it: "
            "pip install 'aesthetic-saliency[ray]'"
        ) from error
    with run_ray(ray_address):
        yield RayEngine(weights, device, backend, workers=workers, batch_size=batch_size)
