"""Work in several threads, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Apply `function` in `workers` threads, a few items ahead of the result that is yielded.

    Unlike `Executor.map` it takes items as they are needed, so there may be any number, and stops
    when nobody wants the rest.

    Args:
        function: Raises what it wants to; results of earlier items are yielded first.
        items: Taken in the caller's thread.
        workers: Threads; at most twice as many items are begun or wait to be yielded.

    Yields:
        One result an item, in order.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="photos") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # after an error, or when nobody wants the rest
            for future in waiting:
                future.cancel()


def split_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield `items` in lists of `size`, the last of which may be shorter; taken as needed."""
    ahead = iter(items)
    while group := list(islice(ahead, size)):
        yield group
