"""A real Ray Serve with two replicas, in processes of its own, against the service on uvicorn."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

pytest.importorskip("ray.serve")

START_S = 300
SERVE = """
import signal, sys
import ray
from ray import serve
from service.ray_app import app

ray.init("local", num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(app)
print("running", flush=True)
sys.stdin.read()
serve.shutdown()
ray.shutdown()
"""


def to_environment(**settings):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SALIENCY_")}
    return kept | {f"SALIENCY_{name.upper()}": str(value) for name, value in settings.items()}


@pytest.fixture(scope="module")
def on_ray(tiny_weights, tmp_path_factory):
    """A client of the service on Ray."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"device": "cpu", "weights": tiny_weights, "auth": "off", "ray_min_replicas": 2}
    log_path = tmp_path_factory.mktemp("ray") / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(port)],
            env=to_environment(**settings),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + START_S
        while b"\nrunning\n" not in b"\n" + log_path.read_bytes():
            assert process.poll() is None, log_path.read_text()
            assert time.monotonic() < until, log_path.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        process.stdin.close()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def predict(client, jpeg, **options):
    return client.post(
        "/v1/predict", content=jpeg, headers={"Content-Type": "image/jpeg", **options}
    )


@pytest.mark.slow
def test_answers_are_those_of_the_service_on_uvicorn(on_ray, tiny, jpeg):
    with tiny.client() as client:
        for path in ("/v1/model", "/v1/openapi.json", "/"):
            assert on_ray.get(path).content == client.get(path).content
        for _ in range(6):  # at both replicas
            bodies = [predict(one, jpeg).json() for one in (on_ray, client)]
            assert all(body.pop("timings") for body in bodies)
            assert bodies[0] == bodies[1]
        maps = [predict(one, jpeg, Accept="application/x-npy").content for one in (on_ray, client)]
        assert maps[0] == maps[1]


@pytest.mark.slow
def test_no_request_comes_before_a_replica_is_warm(on_ray):
    assert {on_ray.get("/readyz").status_code for _ in range(6)} == {200}


@pytest.mark.slow
def test_errors_are_problems_as_on_uvicorn(on_ray, check_problem):
    check_problem(predict(on_ray, b"no photo"), 422, "image_undecodable")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "SALIENCY_API_KEYS"),
        ({"auth": "off", "ray_max_replicas": 0}, "SALIENCY_RAY_MAX_REPLICAS"),
        ({"auth": "off", "ray_min_replicas": 9}, "should be at least SALIENCY_RAY_MIN_REPLICAS, 9"),
    ],
)
def test_what_would_be_open_or_makes_no_sense_is_refused_before_ray_starts(settings, reason):
    ended = subprocess.run(
        [sys.executable, "-c", "import service.ray_app"],
        env=to_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert reason in ended.stderr.splitlines()[-1]
