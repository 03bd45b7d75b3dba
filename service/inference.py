"""From bytes to a prediction without blocking the event loop: decode, batch, finish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ImageError
from saliency.images import ImageLimits
from saliency.predictor import Predictor, PreparedImage, to_prediction
from saliency.types import Output, Prediction
from service.batching import MicroBatcher, QueueClosedError, QueueFullError
from service.settings import Settings
from service.telemetry import Metrics

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Timing:
    """Seconds that an image spent in each stage."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("queue", "decode", "forward", "render"), 0.0)
    )
    began: float = field(default_factory=time.perf_counter)

    def add(self, stage: str, seconds: float) -> None:
        """Add `seconds` to `stage`."""
        self.seconds[stage] += seconds

    def to_ms(self) -> dict[str, float]:
        """Return `<stage>_ms` of each stage, and `total_ms` since the start."""
        ms = {f"{stage}_ms": seconds * 1e3 for stage, seconds in self.seconds.items()}
        ms["total_ms"] = (time.perf_counter() - self.began) * 1e3
        return {name: round(value, 2) for name, value in ms.items()}


@dataclass(frozen=True, slots=True)
class Predicted:
    """A photo and what the network says of it."""

    image: NDArray[np.uint8]
    prediction: Prediction


class Inference:
    """A Predictor, shared by all requests.

    Decoding and everything after the network run in a pool of threads (Pillow, OpenCV and NumPy
    release the interpreter while they work), the network in the batcher's own; the event loop only
    passes things on.
    """

    def __init__(self, predictor: Predictor, settings: Settings, metrics: Metrics) -> None:
        self.predictor = predictor
        self.ready = False
        self._settings = settings
        self._metrics = metrics
        self._limits = ImageLimits(settings.max_bytes, settings.max_pixels)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="images")
        self._admitted = 0
        on_cpu = predictor.device.type == "cpu"
        # Enough to keep every thread and the network busy. The others wait as files: a photo of a
        # few kilobytes can take hundreds of megabytes once it is decoded.
        self._room = asyncio.Semaphore(
            2 * settings.threads + (0 if on_cpu else 2 * settings.batch_size)
        )
        self._batcher: MicroBatcher[PreparedImage, Output] = MicroBatcher(
            self._compute,
            lambda prepared: prepared.network_size,
            # A processor gains nothing from larger batches, and waiting for them leaves it idle.
            batch_size=1 if on_cpu else settings.batch_size,
            window_s=0 if on_cpu else settings.batch_window_ms / 1e3,
            queue_length=settings.queue_length,
            # One thread an image keeps every core busy without waiting for the others.
            workers=settings.threads if on_cpu else 1,
        )
        metrics.queue.set_function(lambda: len(self._batcher))

    async def start(self) -> None:
        """Warm up, then be ready."""
        self._batcher.start()
        await asyncio.to_thread(self._warm_up)
        self.ready = True

    async def close(self) -> None:
        """Finish what is in flight, then stop the threads."""
        self.ready = False
        await self._batcher.close()
        self._pool.shutdown()

    @asynccontextmanager
    async def admit(self, images: int) -> AsyncIterator[None]:
        """Hold places for a request's images until it is answered.

        Raises:
            QueueClosedError: The service is not ready yet, or stops.
            QueueFullError: At once, where there are too few places.
        """
        if not self.ready:
            raise QueueClosedError
        if self._admitted + images > self._settings.queue_length:
            raise QueueFullError
        self._admitted += images
        self._metrics.in_flight.inc(images)
        try:
            yield
        finally:
            self._admitted -= images
            self._metrics.in_flight.dec(images)

    @asynccontextmanager
    async def room(self, timing: Timing) -> AsyncIterator[None]:
        """Wait until a photo may be decoded, and keep its place until its answer is made."""
        asked = time.perf_counter()
        async with self._room:
            timing.add("queue", time.perf_counter() - asked)
            yield

    async def predict(self, source: bytes | NDArray[np.uint8], timing: Timing) -> Predicted:
        """Return what `Predictor.predict` would, and the upright photo.

        Raises:
            ImageError: It cannot be read, or is larger than the limits.
        """
        outcome = "failed"
        try:
            prepared = await self.run(
                "decode", timing, self.predictor.prepare, source, self._limits
            )
            computed = await self._batcher.submit(prepared)
            timing.add("queue", computed.queue_s)
            timing.add("forward", computed.compute_s)
            self._observe("queue", computed.queue_s)
            height, width = prepared.image.shape[:2]
            prediction = await self.run(
                "render", timing, to_prediction, computed.result, 0, (height, width)
            )
            outcome = "predicted"
            return Predicted(prepared.image, prediction)
        except ImageError:
            outcome = "refused"
            raise
        except asyncio.CancelledError:  # the client has gone, or the time is up
            outcome = "dropped"
            raise
        finally:
            self._metrics.images.labels(outcome).inc()

    async def run(
        self,
        stage: str,
        timing: Timing,
        function: Callable[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run a blocking function in the pool and note its seconds under `stage`.

        The wait for a free thread counts as queue. A call that is cancelled while it waits for a
        thread never runs.
        """
        asked = time.perf_counter()

        def timed() -> tuple[R, float, float]:
            began = time.perf_counter()
            result = function(*args, **kwargs)
            return result, began, time.perf_counter()

        result, began, ended = await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        timing.add("queue", began - asked)
        timing.add(stage, ended - began)
        self._observe(stage, ended - began)
        return result

    def _compute(self, batch: Sequence[PreparedImage]) -> list[Output]:
        began = time.perf_counter()
        output = self.predictor.infer(batch)
        self._observe("forward", time.perf_counter() - began)
        self._metrics.batch_sizes.observe(len(batch))
        return [
            Output(
                None if output.log_density is None else output.log_density[i : i + 1],
                None if output.score_logits is None else output.score_logits[i : i + 1],
            )
            for i in range(len(batch))
        ]

    def _warm_up(self) -> None:
        """Compute both orientations at the usual batch sizes: first calls choose kernels."""
        preprocessing = self.predictor.preprocessing
        size = preprocessing.height, preprocessing.width
        largest = 1 if self.predictor.device.type == "cpu" else self._settings.batch_size
        for height, width in (size, size[::-1]):
            photo = self.predictor.prepare(np.zeros((height, width, 3), np.uint8))
            batch_size = 1
            while batch_size <= largest:
                self.predictor.infer([photo] * batch_size)
                batch_size *= 2

    def _observe(self, stage: str, seconds: float) -> None:
        self._metrics.stages.labels(stage).observe(seconds)
