"""Computes single requests together: a bounded queue in front of one worker per device."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFullError(Exception):
    """The queue is full."""


class QueueClosedError(Exception):
    """The queue accepts nothing: the service is stopping or not ready yet."""


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    kind: Hashable
    answer: asyncio.Future[Computed[Result]]
    since: float


@dataclass(frozen=True, slots=True)
class Computed(Generic[Result]):
    """A result, and how long it took.

    Attributes:
        result: What the function returned for this item.
        queue_s: Seconds that the item waited.
        compute_s: Seconds that its batch computed.
        batch_size: Items in its batch.
    """

    result: Result
    queue_s: float
    compute_s: float
    batch_size: int


class MicroBatcher(Generic[Item, Result]):
    """Collects items for a few milliseconds and hands them to `compute` together.

    When the worker is free, it takes the waiting items. It waits for more only while the batch is
    not full and the first item has waited less than `window_s`. While it computes, the next batch
    collects. Items whose caller has gone (a cancelled future) are dropped before they are computed.

    Only items of one `kind` share a batch: photos of other proportions have another input size;
    the kind of the oldest item goes first, so that no item waits for ever.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        kind: Callable[[Item], Hashable],
        *,
        batch_size: int,
        window_s: float,
        queue_length: int,
    ) -> None:
        """Prepare the queue; `start` begins to work.

        Args:
            compute: Computes a batch; it may block, since it runs in a thread, one call at a time.
            kind: Returns the kind of an item; only items of equal kind share a batch.
            batch_size: Largest number of items in a batch.
            window_s: Longest time that the first item waits for more, in seconds.
            queue_length: Largest number of waiting items.
        """
        self._compute = compute
        self._kind = kind
        self._batch_size = batch_size
        self._window_s = window_s
        self._queue_length = queue_length
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._arrived = asyncio.Condition()
        self._closing = False

    def __len__(self) -> int:
        """Return the number of waiting items."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to work on the running event loop."""
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Compute the waiting items, then stop."""
        self._closing = True
        async with self._arrived:
            self._arrived.notify_all()
        if self._task is not None:
            await self._task
        self._threads.shutdown()

    async def submit(self, item: Item) -> Computed[Result]:
        """Return the result of `item`; cancelling the call takes it out of the queue.

        Raises:
            QueueFullError: Too many items wait; it is raised at once.
            QueueClosedError: The service is stopping.
            Exception: `compute` raised it for the item's batch.
        """
        if self._closing:
            raise QueueClosedError
        if len(self._queue) >= self._queue_length:
            raise QueueFullError
        answer: asyncio.Future[Computed[Result]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(item, self._kind(item), answer, time.perf_counter()))
        async with self._arrived:
            self._arrived.notify_all()
        return await answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := await self._take():
            began = time.perf_counter()
            try:
                results = await loop.run_in_executor(
                    self._threads, self._compute, [waiting.item for waiting in batch]
                )
            except Exception as error:
                for waiting in batch:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
                continue
            seconds = time.perf_counter() - began
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(
                        Computed(result, began - waiting.since, seconds, len(batch))
                    )

    async def _take(self) -> list[_Waiting[Item, Result]]:
        """Return the next batch, empty once closed and drained."""
        async with self._arrived:
            while True:
                self._forget_cancelled()
                if not self._queue:
                    if self._closing:
                        return []
                    await self._arrived.wait()
                    continue
                kind = self._queue[0].kind
                patience = self._window_s - (time.perf_counter() - self._queue[0].since)
                same = sum(waiting.kind == kind for waiting in self._queue)
                if same >= self._batch_size or patience <= 0 or self._closing:
                    return self._pop(kind)
                try:
                    async with asyncio.timeout(patience):
                        await self._arrived.wait()
                except TimeoutError:
                    pass

    def _forget_cancelled(self) -> None:
        if any(waiting.answer.done() for waiting in self._queue):
            self._queue = deque(w for w in self._queue if not w.answer.done())

    def _pop(self, kind: Hashable) -> list[_Waiting[Item, Result]]:
        """Remove and return the oldest items of `kind`."""
        batch: list[_Waiting[Item, Result]] = []
        rest: deque[_Waiting[Item, Result]] = deque()
        for waiting in self._queue:
            fits = waiting.kind == kind and len(batch) < self._batch_size
            (batch if fits else rest).append(waiting)
        self._queue = rest
        return batch
