"""Telemetry for operators: Prometheus metrics, and logs with a request id."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from contextvars import ContextVar
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"
_ACCEPTED_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_request_id: ContextVar[str] = ContextVar("request_id", default="")
log = logging.getLogger("service.access")


def current_request_id() -> str:
    """Return the id of the request that is being answered, empty outside of one."""
    return _request_id.get()


class Metrics:
    """The counters of one app, in a registry of their own.

    Attributes:
        registry: The registry that `/metrics` prints.
        requests: Requests by route template, method and status.
        stages: Seconds by stage: queue, decode, forward, render.
        batch_sizes: Images in each forward pass.
        images: Images by outcome: predicted, refused (not decodable or too large), dropped, failed.
        in_flight: Images that are admitted and not answered yet.
        queue: Decoded images that wait for the network.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "saliency_requests", "Requests.", ["route", "method", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "saliency_request_seconds",
            "Seconds from a request's head to its last byte.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "saliency_stage_seconds",
            "Seconds of each stage: queue (every wait), decode, forward (of a batch), render.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_sizes = Histogram(
            "saliency_batch_size",
            "Images in a forward pass.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.images = Counter(
            "saliency_images", "Images by outcome.", ["outcome"], registry=self.registry
        )
        self.in_flight = Gauge(
            "saliency_images_in_flight",
            "Images that are admitted and not answered yet.",
            registry=self.registry,
        )
        self.queue = Gauge(
            "saliency_queue_length", "Images that wait for the network.", registry=self.registry
        )


class Observe:
    """ASGI middleware: a request id, a log line and a count for every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; then log and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = asked if _ACCEPTED_ID.fullmatch(asked) else uuid.uuid4().hex
        _request_id.set(request_id)
        status = 499  # nothing was answered: the client has gone
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            seconds = time.perf_counter() - began
            # The template, not the path: clients could make up any number of paths, and methods.
            route = getattr(scope.get("route"), "path", "(none)")
            method = scope["method"] if scope["method"] in _METHODS else "(other)"
            self.metrics.requests.labels(route, method, str(status)).inc()
            self.metrics.request_seconds.labels(route).observe(seconds)
            log.info(
                "%s %s %d %.0f ms",
                scope["method"],
                scope["path"],
                status,
                seconds * 1e3,
                extra={"http": {"route": route, "status": status, "ms": round(seconds * 1e3, 1)}},
            )


class JsonFormatter(logging.Formatter):
    """Formats each record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        entry: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id() or None,
        }
        entry |= getattr(record, "http", {})
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in entry.items() if value is not None})


def _escape(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()


class _TextFormatter(logging.Formatter):
    """Formats a record as one line of text; text from a client cannot add lines."""

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = current_request_id() or "-"
        text = super().format(record)
        return text if record.exc_info else _CONTROLS.sub(_escape, text)


def configure_logging(style: Literal["text", "json"]) -> None:
    """Send all logs to stderr in one style."""
    handler = logging.StreamHandler(sys.stderr)
    plain = _TextFormatter("%(asctime)s %(levelname)s %(request_id)s %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a broken form is the client's
