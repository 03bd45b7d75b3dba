"""What takes photos from file to result: threads of this process, or something that looks alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from saliency.batch.journal import Journal
from saliency.batch.naming import Photo
from saliency.batch.pictures import Pictures
from saliency.batch.pipeline import Outcome, predict_files
from saliency.predictor import Predictor

EngineName = Literal["local", "ray"]


class Engine(Protocol):
    """Predicts photos into an output folder."""

    @property
    def device(self) -> str:
        """Where it computes."""

    @property
    def backend(self) -> str:
        """With what it computes."""

    @property
    def precision(self) -> str:
        """What the convolutions are computed in."""

    def describe(self) -> str:
        """Return where and with what it computes, for people."""

    def predict_files(
        self,
        photos: Sequence[Photo],
        journal: Journal,
        pictures: Pictures,
        *,
        is_stopping: Callable[[], bool],
    ) -> Iterator[Outcome]:
        """Do what `pipeline.predict_files` does, though perhaps in another order."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Threads of this process.

    Attributes:
        predictor: Computes.
        batch_size: Photos that go through the network together.
        workers: Threads.
    """

    predictor: Predictor
    batch_size: int
    workers: int

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self.predictor.device)

    @property
    def backend(self) -> str:
        """With what it computes."""
        return self.predictor.backend.name

    @property
    def precision(self) -> str:
        """What the convolutions are computed in."""
        return self.predictor.precision

    def describe(self) -> str:
        """Return where and with what it computes, for people."""
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
