"""Errors over HTTP: the mapping from the library's errors to problem JSON (RFC 9457)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from saliency.errors import ImageError, ImageTooLargeError, InsightError
from service.batching import QueueClosedError, QueueFullError
from service.schemas import ProblemBody
from service.telemetry import current_request_id

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
CLIENT_GONE = 499  # nginx's number for it; only the log and the metrics see it
log = logging.getLogger("service")

_SENTENCES = {
    404: "There is nothing at this path; /v1/openapi.json lists all paths.",
    405: "This path does not support this method; the header `Allow` names those it supports.",
}
"""Sentences for errors that the framework describes in one or two words."""


class Problem(Exception):  # noqa: N818  # RFC 9457's own word
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        code: Short name for programs.
        detail: One readable sentence that names what was wrong and what would work.
        headers: Further response headers.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers = dict(headers or {})

    def body(self) -> ProblemBody:
        """Return the problem as RFC 9457 writes it."""
        return ProblemBody(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            code=self.code,
            detail=self.detail,
            request_id=current_request_id(),
        )


def to_problem(error: Exception) -> Problem:
    """Return the problem for `error`; an unexpected error becomes a 500 without details."""
    later = {"Retry-After": str(RETRY_AFTER_S)}
    match error:
        case Problem():
            return error
        case ImageTooLargeError():
            return Problem(413, "image_too_large", _of_upload(error))
        case ImageError():
            return Problem(422, "image_undecodable", _of_upload(error))
        case InsightError():
            return Problem(400, "bad_request", str(error))
        case QueueFullError():
            return Problem(503, "overloaded", "The queue is full; try again in a moment.", later)
        case QueueClosedError():
            return Problem(
                503, "not_ready", "The service is starting or stopping; try again later.", later
            )
        case TimeoutError():
            return Problem(
                504,
                "timeout",
                "The answer took longer than this service allows; try again, or send a "
                "smaller image.",
            )
        case RequestValidationError():
            return Problem(400, "bad_request", _first_of(error))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            code = "bad_request" if status == 400 else status.phrase.lower().replace(" ", "_")
            detail = _SENTENCES.get(status, str(error.detail))
            return Problem(error.status_code, code, detail, error.headers)
    return Problem(
        500, "internal", "The service failed with an unexpected error; its log has the details."
    )


def to_response(problem: Problem) -> JSONResponse:
    """Return `problem` as a response."""
    body = problem.body().model_dump()
    return JSONResponse(body, problem.status, problem.headers, media_type=MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Answer every error of `app` with problem JSON."""

    async def handle(request: Request, error: Exception) -> Response:
        return to_response(to_problem(error))

    async def nobody_listens(request: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    expected = (
        Problem,
        ImageError,
        InsightError,
        QueueFullError,
        QueueClosedError,
        TimeoutError,
        RequestValidationError,
        HTTPException,
    )
    for kind in expected:
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(ClientDisconnect, nobody_listens)


class AnswerUnforeseen:
    """ASGI middleware: an unexpected error is logged and answered, not raised."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500 if that fails before an answer began."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except asyncio.CancelledError:
            # Only uvicorn does this, to requests that still run when the time for a stop is over.
            if scope["type"] != "http":
                raise
            if not begun:
                await to_response(to_problem(QueueClosedError()))(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            log.exception("unexpected error")
            if not begun:
                await to_response(to_problem(error))(scope, receive, send)


def describe(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of these error statuses."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def _of_upload(error: ImageError) -> str:
    """Return the error's text, with "the image" for "the given bytes"."""
    return str(error).replace("the given bytes", "The image", 1)


def _first_of(error: RequestValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return f"`{where}`: {first['msg']}."
