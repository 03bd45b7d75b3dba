"""The application: routes, errors, limits and life span put together."""

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
from saliency.checkpoint import identify, released_weights
from saliency.predictor import Predictor
from service.api import Service, build_api
from service.inference import Inference
from service.problems import AnswerUnforeseen, Problem, describe, handle_problems
from service.schemas import ProblemBody, Status
from service.security import Gate
from service.settings import Settings
from service.telemetry import REQUEST_ID, Metrics, Observe

STATIC = Path(__file__).parent / "static"
log = logging.getLogger("service")

SAFE_HEADERS = {
    # The page needs nothing from elsewhere, so nothing from elsewhere is allowed.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: Settings, predictor: Predictor) -> FastAPI:
    """Return the service on a loaded predictor.

    Args:
        settings: The operator's.
        predictor: Computes every answer.
    """
    metrics = Metrics()
    inference = Inference(predictor, settings, metrics)
    sha256 = identify(settings.weights or released_weights())
    service = Service(inference, settings, sha256)

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
        summary="Where people look in a photo and how good it looks.",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # it would send the client to whatever host it has named
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    handle_problems(app)
    app.include_router(build_api(service, Gate(settings.api_keys, settings.rate_per_minute)))
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
    """Add what load balancers and Prometheus ask; it needs no key and tells nothing of photos."""

    @app.head("/healthz", include_in_schema=False)  # some probes ask so
    @app.get("/healthz", response_model=Status, tags=["operations"])
    async def healthz() -> Status:
        """Say that the process answers."""
        return Status(status="ok")

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", response_model=Status, responses=describe(503), tags=["operations"])
    async def readyz() -> Status:
        """Say whether the network is warm; 503 until then and while stopping."""
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

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _add_problem_schema(app: FastAPI) -> None:
    """Put the schema of problems, which only error responses name, into the OpenAPI document."""
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
    """ASGI middleware: every answer says what a browser must not do with it."""

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
