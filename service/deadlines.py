"""Cancels work whose client no longer waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


@asynccontextmanager
async def while_wanted(request: Request) -> AsyncIterator[None]:
    """Cancel the awaited work inside the context as soon as the client has gone.

    Args:
        request: The request, with its body read to the end.

    Raises:
        ClientDisconnect: The client has gone.
    """

    async def watch() -> None:
        await _until_gone(request)
        scope.reschedule(0)  # a deadline in the past cancels the work, and nothing around it

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(None) as scope:
            yield
    except TimeoutError:
        if scope.expired():
            raise ClientDisconnect from None
        raise
    finally:
        watching.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
