"""Start, readiness, stop: what an operator and a load balancer rely on."""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from saliency import Predictor

JPEG = {"Content-Type": "image/jpeg"}
ONE_KEY = "0" * 64


def build_jpeg(height, width):
    noise = np.random.default_rng(0).integers(
        0, 256, (height // 20, width // 20, 3), dtype=np.uint8
    )
    file = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).save(file, "JPEG")
    return file.getvalue()


# --- starting ---


FORKS = """
import json, os, sys, pathlib
import uvicorn, service.app, service.loading  # before the forks, which would each import them
from service.cli import main
codes = []
for i, environment in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if not child:
        log = os.open(pathlib.Path(sys.argv[2]) / f"{i}.log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(environment)
        sys.argv = ["saliency-serve"]
        try:
            main()
        except SystemExit as stop:
            sys.stderr.flush()
            os._exit(stop.code)  # taking torch down takes a second
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


@dataclass
class Start:
    """A start that failed."""

    code: int
    error: str


@pytest.fixture(scope="module")
def failed_starts(tmp_path_factory, tiny_weights):
    """Several services that cannot start: forks of one process, whose imports take the time."""
    folder = tmp_path_factory.mktemp("starts")
    damaged = folder / "damaged.safetensors"
    damaged.write_bytes(tiny_weights.read_bytes()[:-1000])
    foreign = folder / "foreign.safetensors"
    foreign.write_bytes(b"not safetensors" * 100)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environments = {
            "device absent": {"DEVICE": "cuda:63"},
            "device unknown": {"DEVICE": "abacus"},
            "weights missing": {"WEIGHTS": folder / "none.safetensors"},
            "weights damaged": {"WEIGHTS": damaged},
            "weights foreign": {"WEIGHTS": foreign},
            "weights a folder": {"WEIGHTS": folder},
            "setting wrong": {"TIMEOUT_S": "-1"},
            "setting no number": {"PORT": "http"},
            "open to all": {"HOST": "0.0.0.0"},  # noqa: S104
            "open to all by IPv6": {"HOST": "::"},
            "a key in the clear": {"API_KEYS": "my-secret-key"},
            "port taken": {"PORT": port, "WEIGHTS": tiny_weights},
        }
        wanted = [
            {f"SALIENCY_{k}": str(v) for k, v in ({"DEVICE": "cpu", "PORT": 0} | given).items()}
            for given in environments.values()
        ]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SALIENCY_")}
        command = [sys.executable, "-c", FORKS, json.dumps(wanted), str(folder)]
        output = subprocess.run(command, env=kept, check=True, capture_output=True, timeout=600)
        codes = json.loads(output.stdout)
    return {
        name: Start(code, (folder / f"{i}.log").read_text())
        for i, (name, code) in enumerate(zip(environments, codes, strict=True))
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("device absent", "cuda:63"),
        ("device unknown", "abacus"),
        ("weights missing", "none.safetensors"),
        ("weights damaged", "damaged.safetensors"),
        ("weights foreign", "foreign.safetensors"),
        ("weights a folder", "checkpoint"),
        ("setting wrong", "SALIENCY_TIMEOUT_S"),
        ("setting no number", "SALIENCY_PORT"),
        ("open to all", "SALIENCY_API_KEYS"),
        ("open to all by IPv6", "SALIENCY_AUTH=off"),
        ("a key in the clear", "--new-key"),
    ],
)
def test_a_start_that_fails_says_why_in_one_line(failed_starts, name, words):
    start = failed_starts[name]
    assert start.code == 1
    [line] = start.error.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_predicting_does_not_load_pytorch(released):
    maps = Path(f"/proc/{released.process.pid}/maps")
    if not maps.is_file():
        pytest.skip("only Linux says what a process has loaded")
    with released.client() as client:
        answer = client.post("/v1/predict", content=build_jpeg(300, 400), headers=JPEG)
    assert answer.status_code == 200
    assert "onnxruntime" in maps.read_text()
    assert "libtorch" not in maps.read_text()


def test_a_key_in_the_clear_is_not_repeated(failed_starts):
    assert "my-secret-key" not in failed_starts["a key in the clear"].error


def test_a_port_that_is_taken_is_named(failed_starts):
    start = failed_starts["port taken"]
    assert start.code not in (0, None)
    assert "address already in use" in start.error
    assert "Traceback" not in start.error


def test_a_new_service_answers_before_it_is_ready(serve, tiny_weights, check_problem):
    """Open to all because it was said; its log is for machines."""
    settings = {"host": "0.0.0.0", "auth": "off", "log_format": "json"}  # noqa: S104
    with serve(weights=tiny_weights, ready=False, **settings) as server, server.client() as client:
        assert client.get("/healthz").status_code == 200
        while (answer := client.get("/readyz")).status_code != 200:
            check_problem(answer, 503, "not_ready")
            assert "retry-after" in answer.headers
        assert answer.json() == {"status": "ready"}

        client.get("/nope%0a", headers={"X-Request-ID": "find-me"})
        client.post("/v1/predict", content=b"\xff\xd8\xff", headers=JPEG | {"X-Request-ID": "me-2"})
        server.stop()
        entries = [json.loads(line) for line in server.log().splitlines()]
        assert all({"time", "level", "message"} <= set(entry) for entry in entries)
        found = {entry.get("request_id"): entry for entry in entries if "status" in entry}
        assert (found["find-me"]["status"], found["find-me"]["route"]) == (404, "(none)")
        assert (found["me-2"]["status"], found["me-2"]["route"]) == (422, "/v1/predict")
        assert found["me-2"]["ms"] > 0


# --- stopping ---


async def hammer(url, data, outcomes):
    """Ask on ever new connections until none is accepted; keep answers, and errors by name."""
    async with httpx.AsyncClient(timeout=60, headers={"Connection": "close"}) as client:
        while True:
            try:
                answer = await client.post(f"{url}/v1/predict", content=data, headers=JPEG)
                outcomes.append(answer)
            except httpx.TransportError as error:
                outcomes.append(error)
                if isinstance(error, httpx.ConnectError):
                    return


async def end_under_load(server, data, number):
    """Send a signal after a few answers; return how all requests ended."""
    outcomes = []
    clients = [asyncio.create_task(hammer(server.url, data, outcomes)) for _ in range(8)]
    while len(outcomes) < 8:
        await asyncio.sleep(0.02)
    server.process.send_signal(number)
    await asyncio.gather(*clients)
    return outcomes


def check_whole(answer, expected):
    body = answer.json()
    assert answer.status_code == 200
    assert (body["height"], body["width"]) == expected.image_size
    assert body["score"] == pytest.approx(expected.score, abs=1e-4)


def is_refusal(outcome):
    """Whether nothing of an answer came: the connection was not taken, or closed while idle."""
    if isinstance(outcome, httpx.RemoteProtocolError):
        return "without sending a response" in str(outcome)
    return isinstance(outcome, httpx.ConnectError | httpx.ReadError | httpx.WriteError)


def test_a_stop_under_load_loses_nothing_that_was_accepted(serve, tiny_weights, wait_until):
    data = build_jpeg(1200, 1600)
    expected = Predictor.load(tiny_weights, device="cpu").predict(data)
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(data)

    with serve(weights=tiny_weights) as server:
        with server.connect() as sock:  # a client in the middle of its body
            sock.sendall(head + data[:1000])
            wait_until(lambda: server.metric("saliency_images_in_flight") == 1)
            outcomes = asyncio.run(end_under_load(server, data, signal.SIGTERM))
            sock.sendall(data[1000:])
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert server.process.wait(30) == 0
        log = server.log()

    answers = [outcome for outcome in outcomes if isinstance(outcome, httpx.Response)]
    assert len(answers) >= 8
    for each in answers:
        check_whole(each, expected)
    assert all(is_refusal(o) for o in outcomes if not isinstance(o, httpx.Response))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["width"] == 1600
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_client_that_stalls_does_not_hold_up_a_stop_for_ever(serve, tiny_weights, wait_until):
    with serve(weights=tiny_weights, shutdown_s=1) as server, server.connect() as sock:
        sock.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n")
        sock.sendall(b"Content-Length: 1000\r\n\r\n" + bytes(10))
        wait_until(lambda: server.metric("saliency_images_in_flight") == 1)
        assert server.stop() == 0
        assert sock.recv(65536).startswith(b"HTTP/1.1 503 ")
        assert "Traceback" not in server.log()


def test_answers_before_a_kill_are_whole(serve, tiny_weights):
    data = build_jpeg(400, 600)
    expected = Predictor.load(tiny_weights, device="cpu").predict(data)

    with serve(weights=tiny_weights) as server:
        outcomes = asyncio.run(end_under_load(server, data, signal.SIGKILL))
        assert server.process.wait(30) == -signal.SIGKILL
    answers = [outcome for outcome in outcomes if isinstance(outcome, httpx.Response)]
    assert len(answers) >= 8
    for answer in answers:
        check_whole(answer, expected)


@pytest.mark.slow
def test_an_idle_connection_is_closed_after_the_seconds_that_are_set(serve, tiny_weights):
    with serve(weights=tiny_weights, keep_alive_s=1) as server, server.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 4  # 5 s is what it is without the setting
