"""The application of one replica on Ray Serve.

It is a module of its own, because `ray_app` reads the environment on import: a replica imports the
modules that it is built from, and its machine may have another environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.app import create_app
from service.loading import load_predictor
from service.problems import Problem
from service.settings import Settings
from service.telemetry import REQUEST_ID


def to_builder(settings: Settings) -> Callable[[], FastAPI]:
    """Return a function that builds the application with these settings, on any machine."""

    def build() -> FastAPI:
        app = create_app(settings, load_predictor(settings))
        app.add_middleware(LeaveIdToRay)
        _start_warm(app)
        return app

    return build


def _start_warm(app: FastAPI) -> None:
    """Make the start last until the network is warm, since Ray sends requests right after it."""
    start = app.router.lifespan_context
    is_ready: Any = next(
        route.endpoint
        for route in app.routes
        if isinstance(route, APIRoute) and route.path == "/readyz"
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with start(app):
            while True:
                try:
                    await is_ready()
                    break
                except Problem:
                    await asyncio.sleep(0.05)
            yield

    app.router.lifespan_context = lifespan


class LeaveIdToRay:
    """ASGI middleware: removes the request id from the answer, to which Ray adds the same id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; remove the header from the answer."""

        async def take_out(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)[REQUEST_ID]
            await send(message)

        await self.app(scope, receive, take_out if scope["type"] == "http" else send)
