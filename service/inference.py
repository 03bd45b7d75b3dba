"""Predictions from bytes without blocking the event loop: decode, batch, finish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from saliency.backends import NetworkOutput
from saliency.errors import SaliencyError
from saliency.images import ImageLimits
from saliency.predictor import Predictor, PreparedImage, to_prediction
from saliency.types import Prediction
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
    """A predicted photo.

    Attributes:
        image: The photo, in the size that was asked for.
        measured: The photo for measuring quality, as in `PreparedImage`.
        prediction: The prediction.
    """

    image: NDArray[np.uint8]
    measured: NDArray[np.uint8]
    prediction: Prediction


class Inference:
    """A Predictor, shared by all requests.

    With batches (on a GPU), decoding and everything after the network run in a pool of threads, and
    the network runs in the batcher's own thread. Without batches (on a CPU, which does not gain
    from them), a thread takes an image from file to answer on one core, so that no image waits for
    another. Pillow, OpenCV, NumPy and PyTorch release Python's global lock while they work; the
    event loop only passes data on.
    """

    def __init__(self, predictor: Predictor, settings: Settings, metrics: Metrics) -> None:
        self.predictor = predictor
        self.ready = False
        self._settings = settings
        self._metrics = metrics
        self._limits = ImageLimits(settings.max_bytes, settings.max_pixels)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="images")
        self._admitted = 0
        self._batch_size = settings.batch_size or (1 if predictor.device.type == "cpu" else 16)
        # Enough decoded photos to keep every thread and the network busy. The others wait as files:
        # a photo of a few kilobytes can take hundreds of megabytes once it is decoded.
        ahead = 2 * self._batch_size if self._batch_size > 1 else settings.threads
        self._room = asyncio.Semaphore(settings.threads + ahead)
        self._waiting = 0
        self._batcher: MicroBatcher[PreparedImage, NetworkOutput] = MicroBatcher(
            self._compute,
            lambda prepared: prepared.network_size,
            batch_size=self._batch_size,
            window_s=settings.batch_window_ms / 1e3,
            queue_length=settings.queue_length,
        )
        metrics.queue.set_function(lambda: self._waiting + len(self._batcher))

    async def start(self) -> None:
        """Warm up the network, then accept photos."""
        self._batcher.start()
        await asyncio.to_thread(self._warm_up)
        self.ready = True

    async def close(self) -> None:
        """Finish the photos in flight, then stop the threads."""
        self.ready = False
        await self._batcher.close()
        self._pool.shutdown()

    @asynccontextmanager
    async def admit(self, images: int) -> AsyncIterator[None]:
        """Hold places for a request's images until it is answered.

        Raises:
            QueueClosedError: The service is not ready yet, or it is stopping.
            QueueFullError: There are too few places; it is raised at once.
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
        """Wait until a photo may be decoded, and hold its place until its answer is made."""
        asked = time.perf_counter()
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        try:
            self._waited(timing, time.perf_counter() - asked)
            yield
        finally:
            self._room.release()

    async def predict(
        self,
        source: bytes | NDArray[np.uint8],
        timing: Timing,
        finish: Callable[[Predicted], R],
        *,
        picture_side_px: int | None = 0,
    ) -> R:
        """Return the result of `finish` for the photo and its prediction.

        Args:
            source: The photo.
            timing: The seconds of each stage are added to it.
            finish: Makes the answer; it may block, since it runs in the pool after the prediction.
            picture_side_px: Longer side of the photo that `finish` needs, as for
                `Predictor.prepare`; 0: it needs only the prediction.

        Raises:
            ImageError: The photo cannot be read, or is larger than the limits.
            SaliencyError: `finish` raised it.
        """
        prepare = partial(
            self.predictor.prepare, source, self._limits, picture_side_px=picture_side_px
        )
        outcome = "failed"
        try:
            if self._batch_size > 1:
                result = await self._predict_in_batch(prepare, timing, finish)
            else:
                result = await self._in_pool(timing, self._predict_alone, prepare, timing, finish)
            outcome = "predicted"
        except SaliencyError:
            outcome = "refused"
            raise
        except asyncio.CancelledError:  # the client has gone, or the time is up
            outcome = "dropped"
            raise
        finally:
            self._metrics.images.labels(outcome).inc()
        return result

    async def _predict_in_batch(
        self,
        prepare: Callable[[], PreparedImage],
        timing: Timing,
        finish: Callable[[Predicted], R],
    ) -> R:
        prepared = await self._in_pool(timing, self._prepare, prepare, timing)
        computed = await self._batcher.submit(prepared)
        self._waited(timing, computed.queue_s)
        timing.add("forward", computed.compute_s)
        return await self._in_pool(timing, self._finish, prepared, computed.result, timing, finish)

    def _predict_alone(
        self,
        prepare: Callable[[], PreparedImage],
        timing: Timing,
        finish: Callable[[Predicted], R],
    ) -> R:
        prepared = self._prepare(prepare, timing)
        began = time.perf_counter()
        [output] = self._compute([prepared])
        timing.add("forward", time.perf_counter() - began)
        return self._finish(prepared, output, timing, finish)

    def _prepare(self, prepare: Callable[[], PreparedImage], timing: Timing) -> PreparedImage:
        with self._timed("decode", timing):
            return prepare()

    def _finish(
        self,
        prepared: PreparedImage,
        output: NetworkOutput,
        timing: Timing,
        finish: Callable[[Predicted], R],
    ) -> R:
        with self._timed("render", timing):
            prediction = to_prediction(
                output, 0, prepared.size, self.predictor.attributes, prepared.notes
            )
            return finish(Predicted(prepared.image, prepared.measured, prediction))

    async def _in_pool(
        self, timing: Timing, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a blocking function in the pool; the wait for a free thread counts as queue.

        A call that is cancelled while it waits for a thread never runs.
        """
        asked = time.perf_counter()

        def begin() -> R:
            self._waited(timing, time.perf_counter() - asked)
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._pool, begin)

    @contextmanager
    def _timed(self, stage: str, timing: Timing) -> Iterator[None]:
        began = time.perf_counter()
        yield
        timing.add(stage, time.perf_counter() - began)
        self._observe(stage, time.perf_counter() - began)

    def _compute(self, batch: Sequence[PreparedImage]) -> list[NetworkOutput]:
        began = time.perf_counter()
        output = self.predictor.infer(batch)
        self._observe("forward", time.perf_counter() - began)
        self._metrics.batch_sizes.observe(len(batch))
        return [output.row(i) for i in range(len(batch))]

    def _warm_up(self) -> None:
        """Compute every input size at the usual batch sizes, since first calls choose kernels."""
        for height, width in self.predictor.preprocessing.sizes:
            photo = self.predictor.prepare(np.zeros((height, width, 3), np.uint8))
            batch_size = 1
            while batch_size <= self._batch_size:
                self.predictor.infer([photo] * batch_size)
                batch_size *= 2

    def _waited(self, timing: Timing, seconds: float) -> None:
        timing.add("queue", seconds)
        self._observe("queue", seconds)

    def _observe(self, stage: str, seconds: float) -> None:
        self._metrics.stages.labels(stage).observe(seconds)
