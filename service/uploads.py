"""From a request to the bytes of its images, within limits, whatever the client sends."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.problems import Problem

IMAGE_TYPES = tuple(
    f"image/{kind}"
    for kind in ("jpeg", "png", "webp", "tiff", "bmp", "x-ms-bmp", "gif", "heic", "heif")
)
RAW_TYPES = (*IMAGE_TYPES, "application/octet-stream")
MAX_FIELDS = 20
MAX_FIELD_BYTES = 256 * 1024
_BOUNDARY = re.compile(rb"[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]")  # RFC 2046, section 5.1.1


@dataclass(frozen=True, slots=True)
class Upload:
    """One image as sent; its name is only repeated, never used as a path."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What a body holds: images, and text fields beside them, each name with its values."""

    images: tuple[Upload, ...]
    fields: dict[str, list[str]]


async def read_form(
    request: Request, field: str, *, max_bytes: int, max_images: int = 1, raw: bool = True
) -> Form:
    """Read a multipart body, or one that is the image itself.

    Args:
        request: Its body unread.
        field: Name of the form field that holds images.
        max_bytes: Of the whole body.
        max_images: Images in the field.
        raw: Whether a body may be the image itself.

    Raises:
        Problem: 400 without an image or for a broken form, 413 for too many bytes or images,
            415 for another content type.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    _check_announced(request, max_bytes)
    if media_type == "multipart/form-data":
        async with _read_multipart(request, max_bytes, max_images) as form:
            images = tuple(
                [
                    Upload(part.filename or "", await part.read())
                    for part in form.getlist(field)
                    if isinstance(part, UploadFile)
                ]
            )
            texts = {
                name: [value for value in form.getlist(name) if isinstance(value, str)]
                for name in form
            }
        if not images:
            raise Problem(
                400,
                "bad_request",
                f"The form should have a file in its field `{field}`. Found none.",
            )
        return Form(images, texts)
    if raw and media_type in RAW_TYPES:
        data = await _read_body(request, max_bytes)
        if not data:
            raise Problem(400, "bad_request", "The body should be an image. Found 0 bytes.")
        return Form((Upload("", data),), {})
    wanted = ["multipart/form-data", *(RAW_TYPES if raw else ())]
    raise Problem(
        415,
        "unsupported_media_type",
        f"`Content-Type` should be one of {', '.join(wanted)}. Found {media_type[:100]!r}.",
    )


def _check_announced(request: Request, max_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)


async def _read_body(request: Request, max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(data)


@asynccontextmanager
async def _read_multipart(
    request: Request, max_bytes: int, max_images: int
) -> AsyncGenerator[FormData, None]:
    seen = 0

    async def limited() -> AsyncGenerator[bytes, None]:
        nonlocal seen
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > max_bytes:
                raise _too_large(max_bytes)
            yield chunk
        if not parser.complete:
            raise Problem(
                400, "bad_request", "The form should end with its boundary. Found it cut off."
            )

    parser = _Parser(
        _to_plain_header(request.headers.get("content-type", "")),
        limited(),
        max_files=max_images,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    # In memory up to the body's own limit: nothing of a client's photo touches the disk.
    parser.spool_max_size = max_bytes
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many"):
            raise Problem(413, "image_too_large", f"{error.message}") from error
        raise Problem(400, "bad_request", f"The form cannot be read: {error.message}") from error
    except (MultipartParseError, KeyError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_request", f"The form cannot be read: {error}.") from error
    try:
        yield form
    finally:
        await form.close()


class _Parser(MultiPartParser):
    """Starlette's parser; it also notes whether the last boundary came.

    Attributes:
        complete: Without it the form was cut off, perhaps before its last files.
    """

    complete = False

    def on_end(self) -> None:
        self.complete = True


def _to_plain_header(content_type: str) -> Headers:
    """Return a Content-Type that names a boundary and no character set: the texts are UTF-8.

    The parser would decode with whatever codec of Python's the client names; one takes seconds.

    Raises:
        Problem: There is no boundary as RFC 2046 wants it.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise Problem(
            400,
            "bad_request",
            "A form's `Content-Type` should name its boundary, of 1 to 70 plain characters. "
            f"Found {content_type[:100]!r}.",
        )
    return Headers({"content-type": f'multipart/form-data; boundary="{boundary.decode()}"'})


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        413, "image_too_large", f"The body should have at most {max_bytes:,} bytes. Found more."
    )
