"""Requests have a time limit, and work for clients that have gone is cancelled."""

import asyncio
import io

import httpx
import numpy as np
import pytest
from fastapi import Request
from PIL import Image
from starlette.requests import ClientDisconnect

from service.deadlines import while_wanted


def build_request(leaves_after_s=None):
    """A request whose body is read and whose client leaves at some time, or never."""

    async def receive():
        await asyncio.sleep(3600 if leaves_after_s is None else leaves_after_s)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def do_while_wanted(request, work):
    async with while_wanted(request):
        return await work


def test_work_that_is_wanted_is_returned():
    async def work():
        await asyncio.sleep(0.01)
        return 7

    assert asyncio.run(do_while_wanted(build_request(), work())) == 7


def test_work_is_cancelled_when_the_client_leaves():
    cancelled = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(ClientDisconnect):
        asyncio.run(do_while_wanted(build_request(leaves_after_s=0.01), work()))
    assert cancelled


def test_what_the_work_raises_is_raised():
    async def work():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(do_while_wanted(build_request(), work()))


def test_work_is_cancelled_with_the_call():
    cancelled = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def ask():
        async with asyncio.timeout(0.01):
            await do_while_wanted(build_request(), work())

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert cancelled


def test_a_timeout_of_the_work_is_no_client_that_left():
    async def work():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(do_while_wanted(build_request(), work()))


def test_no_task_is_left_behind():
    async def ask():
        async def work():
            return 1

        await do_while_wanted(build_request(), work())
        await asyncio.sleep(0)  # what was cancelled ends at the loop's next turn
        return len(asyncio.all_tasks())

    assert asyncio.run(ask()) == 1


@pytest.fixture(scope="module")
def large():
    """A photo of few bytes and 30 megapixels: decoding it takes longer than a tenth of a second."""
    noise = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((6000, 5000), Image.Resampling.NEAREST).save(file, "JPEG")
    return file.getvalue()


def test_a_service_in_a_hurry_keeps_its_time(serve, tiny_weights, large, check_problem):
    with serve(weights=tiny_weights, timeout_s=0.25) as server:
        # The answer takes too long.
        with server.client() as client:
            headers = {"Content-Type": "image/jpeg", "Accept": "image/png"}
            answer = client.post("/v1/predict?render=map&bits=16", content=large, headers=headers)
            check_problem(answer, 504, "timeout")

        # The body takes too long.
        with server.connect() as sock:
            sock.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
                b"Content-Length: 1000\r\nConnection: close\r\n\r\n" + bytes(100)
            )
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"upload_timeout"' in answer
        assert "Traceback" not in server.log()
        assert "saliency_images_in_flight 0.0" in httpx.get(f"{server.url}/metrics").text
