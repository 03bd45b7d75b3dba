"""Work that nobody waits for any more is not done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

R = TypeVar("R")


async def while_wanted(request: Request, work: Coroutine[Any, Any, R]) -> R:
    """Return what `work` returns; cancel it as soon as the client has gone.

    Args:
        request: Its body read to the end.
        work: What the answer needs.

    Raises:
        ClientDisconnect: The client has gone.
    """

    async def watch() -> None:
        await _until_gone(request)
        scope.reschedule(0)  # a time that has passed: the work is cancelled, and nothing around it

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(None) as scope:
            return await work
    except TimeoutError:
        if scope.expired():
            raise ClientDisconnect from None
        raise
    finally:
        watching.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
