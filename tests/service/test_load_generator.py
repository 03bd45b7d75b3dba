"""The load generator of data/bench counts what the server really answered."""

import asyncio
import importlib.util
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).parents[2] / "data/bench/load_service.py"
    spec = importlib.util.spec_from_file_location("load_service", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_every_request_is_answered_whole(bench, tiny, jpeg):
    """A photo, a picture of it, and two refusals."""
    requests = [
        bench.to_request("/v1/predict", jpeg, "image/jpeg"),
        bench.to_request("/v1/predict?render=map", jpeg, "image/jpeg", "image/png"),
        bench.to_request("/v1/predict", jpeg, "text/plain"),
        bench.to_request("/v1/nowhere", b"", "image/png"),
    ]
    statuses = asyncio.run(bench.drive(tiny.url, requests, 4, bench.countdown(40)))
    assert len(statuses) == 40
    assert set(statuses) == {200, 404, 415}


def test_a_server_that_asks_to_close_is_asked_again_on_a_new_connection(bench):
    head = b"HTTP/1.1 503 Busy\r\nConnection: Close\r\nContent-Length: 3\r\n\r\n"
    with answering(head[:30], head[30:], b"no", b"w") as (url, asked):
        requests = [bench.to_request("/", b"", "image/png")]
        assert asyncio.run(bench.drive(url, requests, 2, bench.countdown(6))) == [503] * 6
    assert len(asked) == 6


def test_a_connection_that_ends_before_its_answer_is_an_error(bench):
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno") as (url, _):
        requests = [bench.to_request("/", b"", "image/png")]
        with pytest.raises(asyncio.IncompleteReadError):
            asyncio.run(bench.drive(url, requests, 1, bench.countdown(1)))


def test_processor_time_goes_to_whom_it_belongs(bench):
    used = bench.CoreSeconds(service=1.5, client=0.1, idle=0.2, total=2.0)
    assert used.describe(50) == (
        "core-ms per answer: service 30.0, load generator 2.00; "
        "other programs used 10.0% of the cores and 10.0% were idle"
    )
