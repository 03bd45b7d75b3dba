"""Images from a request's body, without a server; the size of its pieces does not matter."""

import asyncio

import pytest
from fastapi import Request

from service.problems import Problem
from service.uploads import read_form

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n--B-\r\n--\r\n"
    b'--B\r\nContent-Disposition: form-data; name="boxes"\r\n\r\n[[1, 2, 3, 4]]\r\n'
    b"--B--\r\n"
)


def build_request(pieces, content_type="multipart/form-data; boundary=B", **headers):
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    raw = [(b"content-type", content_type.encode())]
    raw += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


def read(pieces, content_type="multipart/form-data; boundary=B", max_bytes=1000, **options):
    headers = options.pop("headers", {})
    request = build_request(pieces, content_type, **headers)
    return asyncio.run(read_form(request, "image", max_bytes=max_bytes, **options))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_a_form_is_the_same_in_pieces_of_any_size(size):
    form = read([FORM[i : i + size] for i in range(0, len(FORM), size)])
    assert form.images[0].name == "a.png"
    assert form.images[0].data == b"\x89PNG\r\n--B-\r\n--"
    assert form.fields["boxes"] == ["[[1, 2, 3, 4]]"]


@pytest.mark.parametrize("cut", range(1, len(FORM) - 4, 5))
def test_a_form_cut_anywhere_is_refused(cut):
    with pytest.raises(Problem) as caught:
        read([FORM[:cut]])
    assert caught.value.status == 400


def test_a_quoted_boundary_is_understood():
    assert read([FORM], 'Multipart/Form-Data; charset=utf-8; boundary="B"').images


def test_a_raw_body_is_the_image():
    form = read([b"ab", b"", b"cd"], "image/png; charset=x")
    assert (form.images[0].name, form.images[0].data) == ("", b"abcd")


@pytest.mark.parametrize("content_type", ["image/png", "multipart/form-data; boundary=B"])
def test_the_limit_counts_what_comes_not_what_was_announced(content_type):
    with pytest.raises(Problem) as caught:
        read([FORM] * 10, content_type, headers={"content_length": "5"})
    assert caught.value.status == 413


def test_a_body_of_just_the_limit_is_taken():
    assert len(read([b"x" * 1000], "image/png").images[0].data) == 1000
    with pytest.raises(Problem, match="1,000 bytes"):
        read([b"x" * 1001], "image/png")


def test_nothing_is_read_of_a_body_announced_as_too_long():
    with pytest.raises(Problem) as caught:
        read([], "image/png", headers={"content_length": "1001"})
    assert caught.value.status == 413
