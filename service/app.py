"""The application: puts routes, errors, limits and lifespan together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from saliency import __version__
from saliency.checkpoint import find_weights, identify
from saliency.predictor import Predictor
from service.accepting import Service
from service.api import api
from service.inference import Inference
from service.problems import AnswerUnforeseen, Problem, describe, handle_problems
from service.schemas import ProblemBody, Status
from service.security import Gate
from service.settings import Settings
from service.telemetry import REQUEST_ID, Metrics, Observe

STATIC = Path(__file__).parent / "static"
log = logging.getLogger("service")

SAFE_HEADERS = {
    # The page loads nothing from other hosts, so nothing from other hosts is allowed.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: Settings, predictor: Predictor) -> FastAPI:
    """Return the application for a loaded predictor.

    Args:
        settings: The operator's settings.
        predictor: The predictor that computes every answer.
    """
    metrics = Metrics()
    inference = Inference(predictor, settings, metrics)
    sha256 = identify(find_weights(settings.weights))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In the background: a load balancer can already ask /healthz and /readyz.
        starting = asyncio.create_task(inference.start())
        starting.add_done_callback(_stop_if_failed)
        yield
        await asyncio.gather(starting, return_exceptions=True)
        await inference.close()

    app = FastAPI(
        title="aesthetic-saliency",
        summary="Predicts where people look in a photo and how good it looks.",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's page loads scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # a redirect would go to any host that the client named
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    handle_problems(app)
    app.state.service = Service(inference, settings, sha256)
    app.state.gate = Gate(settings.api_keys, settings.rate_per_minute)
    app.include_router(api)
    _add_operations(app, inference, metrics)
    _add_page(app)
    _add_problem_schema(app)
    app.add_middleware(AnswerUnforeseen)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", REQUEST_ID],
            expose_headers=[REQUEST_ID, "Retry-After"],
        )
    app.add_middleware(SafeHeaders)
    app.add_middleware(Observe, metrics=metrics)
    return app


def _add_operations(app: FastAPI, inference: Inference, metrics: Metrics) -> None:
    """Add the routes for load balancers and Prometheus, which need no key and show no photos."""

    @app.head("/healthz", include_in_schema=False)  # some probes send HEAD
    @app.get("/healthz", response_model=Status, tags=["operations"])
    async def healthz() -> Status:
        """Answer 200: the process runs."""
        return Status(status="ok")

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", response_model=Status, responses=describe(503), tags=["operations"])
    async def readyz() -> Status:
        """Answer 200 if the network is warm, 503 before that and while stopping."""
        if not inference.ready:
            raise Problem(503, "not_ready", "The network is warming up.", {"Retry-After": "1"})
        return Status(status="ready")

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        tags=["operations"],
    )
    async def prometheus() -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_page(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html")

    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _add_problem_schema(app: FastAPI) -> None:
    """Add the schema of problems, which only error responses name, to the OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, object]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("ProblemBody", ProblemBody.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _stop_if_failed(starting: asyncio.Task[None]) -> None:
    if not starting.cancelled() and (error := starting.exception()):
        log.critical("the network did not warm up", exc_info=error)
        raise SystemExit(1)


class SafeHeaders:
    """ASGI middleware: adds headers that tell browsers what they must not do with an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add the headers to the answer."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, add if scope["type"] == "http" else send)
