"""Photos a second from file to prediction, and what the cores could do at best."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from saliency.backends import BackendName
from saliency.bench.photos import BenchPhoto
from saliency.bench.timing import Figure
from saliency.devices import count_cores
from saliency.predictor import BATCH_SIZE, Predictor, to_prediction

PHOTOS_A_CORE = 4
"""So many that cores which wait at the start and at the end weigh little."""

COUNTS = (1, 2, 4, 8, 16, 32)
"""Of photos, to see how the cost grows with their number."""


@dataclass(frozen=True)
class Contender:
    """A backend, loaded twice.

    Attributes:
        predictor: As the user asked for it.
        alone: For one thread.
    """

    predictor: Predictor
    alone: Predictor


def throughput_figures(
    contenders: Mapping[BackendName, Contender], photo: BenchPhoto
) -> list[Figure]:
    """Return `predict_many` of every backend, and each of its steps alone on one thread.

    On a GPU, which gains from batches, the step is the forward of a whole batch.
    """
    figures = []
    for name, contender in contenders.items():
        alone = contender.alone
        prepared = alone.prepare(photo.jpeg)
        output = alone.infer([prepared])
        batch = [prepared] * (1 if alone.device.type == "cpu" else BATCH_SIZE)
        calls: dict[str, tuple[Callable[[], object], int]] = {
            "prepare": (partial(alone.prepare, photo.jpeg), 1),
            "forward": (partial(alone.infer, batch), len(batch)),
            "to_prediction": (partial(to_prediction, output, 0, photo.size), 1),
        }
        figures += [
            Figure(stage, call, count, name, photo.megapixels, one_thread=True)
            for stage, (call, count) in calls.items()
        ]
        figures.append(
            _predict_many(name, contender.predictor, photo, PHOTOS_A_CORE * count_cores())
        )
    return figures


def count_figures(name: BackendName, predictor: Predictor, photo: BenchPhoto) -> list[Figure]:
    """Return `predict_many` of ever more photos."""
    return [_predict_many(name, predictor, photo, count) for count in COUNTS]


def _predict_many(name: BackendName, predictor: Predictor, photo: BenchPhoto, count: int) -> Figure:
    def predict() -> None:
        deque(predictor.predict_many([photo.jpeg] * count), maxlen=0)

    return Figure("predict_many", predict, count, name, photo.megapixels)
