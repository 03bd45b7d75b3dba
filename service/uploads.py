"""Reads the images of a request within limits, whatever the client sends."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.problems import Problem

IMAGE_TYPES = tuple(
    f"image/{kind}"
    for kind in (
        *("jpeg", "png", "webp", "tiff", "bmp", "x-ms-bmp", "gif", "heic", "heif"),
        *("jpg", "pjpeg", "x-png"),  # names by old clients and browsers
    )
)
RAW_TYPES = (*IMAGE_TYPES, "application/octet-stream")
MAX_FIELDS = 20
MAX_FIELD_BYTES = 256 * 1024
_BOUNDARY = re.compile(rb"[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]")  # RFC 2046, section 5.1.1
_EXTENDED_NAME = re.compile(
    rb";\s*filename\*\s*=\s*([\w-]*)'[^']*'([^;\s]*)", re.IGNORECASE
)  # RFC 8187


@dataclass(frozen=True, slots=True)
class Upload:
    """One image as sent; its name is only repeated, never used as a path."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """The content of a body: images, and the values of text fields by name."""

    images: tuple[Upload, ...]
    fields: dict[str, list[str]]


async def read_form(
    request: Request, field: str, *, max_bytes: int, max_images: int = 1, raw: bool = True
) -> Form:
    """Read a multipart body, or one that is the image itself.

    Args:
        request: The request, with its body unread.
        field: Name of the form field that holds images.
        max_bytes: Largest size of the whole body.
        max_images: Largest number of images in the field.
        raw: Whether a body may be the image itself.

    Raises:
        Problem: 400 without an image, with two images instead of one, or for a broken form; 413
            for too many bytes or images; 415 for another content type.
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
    # In memory up to the body's own limit: clients' photos are never written to disk.
    parser.spool_max_size = max_bytes
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise _too_many_images(max_images) from error
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
    """Starlette's parser; it also notes whether the last boundary has arrived.

    Attributes:
        complete: Whether it has; if not, the form was cut off, perhaps before its last files.
    """

    complete = False

    def on_end(self) -> None:
        self.complete = True

    def on_headers_finished(self) -> None:
        part = self._current_part
        part.content_disposition = _with_plain_name(part.content_disposition or b"")
        super().on_headers_finished()


def _to_plain_header(content_type: str) -> Headers:
    """Return a Content-Type with its boundary but without a character set: the texts are UTF-8.

    The parser would decode with any Python codec that the client names; one of them takes seconds.

    Raises:
        Problem: There is no valid boundary (RFC 2046).
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


def _with_plain_name(disposition: bytes) -> bytes:
    """Return a part's Content-Disposition with a `filename` if it has only a `filename*`.

    RFC 7578 does not allow `filename*` in forms, but clients send it for names beyond ASCII, and
    the parser would take the photo for a text.
    """
    found = _EXTENDED_NAME.search(disposition)
    if found is None or b"filename" in parse_options_header(disposition)[1]:
        return disposition
    codec = "latin-1" if found[1].lower() == b"iso-8859-1" else "utf-8"
    name = unquote_to_bytes(found[2]).decode(codec, "replace").encode()
    quoted = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return disposition + b'; filename="' + quoted + b'"'


def _too_many_images(max_images: int) -> Problem:
    if max_images == 1:
        return Problem(
            400,
            "too_many_images",
            "The form should have one image; /v1/predict/batch takes several. Found more.",
        )
    return Problem(
        413,
        "too_many_images",
        f"The form should have at most {max_images} images. Found more.",
    )


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        413, "image_too_large", f"The body should have at most {max_bytes:,} bytes. Found more."
    )
