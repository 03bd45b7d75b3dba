"""The load generator counts what the server really answered."""

import asyncio
import threading
import time
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from service.bench.client import drive, to_request
from service.bench.soak import countdown


@contextmanager
def answering(*parts):
    """A server that answers one request a connection, in these parts, and hangs up."""
    asked = []

    class Answer(BaseRequestHandler):
        def handle(self):
            if request := self.request.recv(1000):  # else the client had nothing more to ask
                asked.append(request)
                for part in parts:
                    self.request.sendall(part)
                    time.sleep(0.01)

    with ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield "http://{}:{}".format(*server.server_address), asked
        finally:
            server.shutdown()


def test_every_request_is_answered_whole(tiny, jpeg):
    """A photo, a picture of it, and two refusals."""
    requests = [
        to_request("/v1/predict", jpeg, "image/jpeg"),
        to_request("/v1/predict?render=map", jpeg, "image/jpeg", "image/png"),
        to_request("/v1/predict", jpeg, "text/plain"),
        to_request("/v1/nowhere", b"", "image/png"),
    ]
    statuses = asyncio.run(drive(tiny.url, requests, 4, countdown(40)))
    assert len(statuses) == 40
    assert set(statuses) == {200, 404, 415}


def test_a_server_that_asks_to_close_is_asked_again_on_a_new_connection():
    head = b"HTTP/1.1 503 Busy\r\nConnection: Close\r\nContent-Length: 3\r\n\r\n"
    with answering(head[:30], head[30:], b"no", b"w") as (url, asked):
        requests = [to_request("/", b"", "image/png")]
        assert asyncio.run(drive(url, requests, 2, countdown(6))) == [503] * 6
    assert len(asked) == 6


def test_a_connection_that_ends_before_its_answer_is_an_error():
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno") as (url, _):
        requests = [to_request("/", b"", "image/png")]
        with pytest.raises(ConnectionError, match="closed the connection"):
            asyncio.run(drive(url, requests, 1, countdown(1)))
