"""Real servers on real sockets: `python -m service` in a process of its own."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

PATIENCE_S = 300
"""How long an event may take on a busy machine; tests wait for the event, not for the time."""


@dataclass
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen[bytes]
    log_path: Path

    def client(self, **options: object) -> httpx.Client:
        options.setdefault("timeout", 60)
        # Idle connections are given up before the service closes them, after 5 s: a request on one
        # that is being closed fails.
        options.setdefault("limits", httpx.Limits(keepalive_expiry=1))
        return httpx.Client(base_url=self.url, **options)

    def connect(self) -> socket.socket:
        """Return a bare connection."""
        url = httpx.URL(self.url)
        return socket.create_connection((url.host, url.port), timeout=60)

    def log(self) -> str:
        return self.log_path.read_text()

    def metric(self, name: str) -> float:
        """Return a figure of /metrics, 0 where there is none yet."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def cpu_s(self) -> float:
        """Return what it has computed so far in seconds, whatever else the machine does."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self) -> int:
        """Return how many bytes of memory it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.terminate()
        return self.process.wait(60)


Serve = Callable[..., AbstractContextManager[Server]]


@contextmanager
def run_server(log_path: Path, *, ready: bool = True, **settings: object) -> Iterator[Server]:
    """Start a service with `SALIENCY_<NAME>` settings; stop it at the end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SALIENCY_")}
    given = {f"SALIENCY_{name.upper()}": str(value) for name, value in settings.items()}
    environment = kept | {"SALIENCY_DEVICE": "cpu"} | given
    command = [sys.executable, "-m", "service", "--port", "0"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        server = Server(_wait_for_url(process, log_path), process, log_path)
        if ready:
            _wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for an event."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def _wait_for_url(process: subprocess.Popen[bytes], log_path: Path) -> str:
    def find() -> re.Match[str] | None:
        return re.search(r"running on (http://[\d.:]+)", log_path.read_text())

    wait_until(lambda: find() is not None or process.poll() is not None)
    found = find()
    assert found, f"the service did not start:\n{log_path.read_text()}"
    return found[1]


def _wait_until_ready(server: Server) -> None:
    wait_until(lambda: httpx.get(f"{server.url}/readyz", timeout=60).status_code == 200)


@pytest.fixture(scope="session", name="wait_until")
def _wait_until() -> Callable[[Callable[[], bool]], None]:
    """A function that waits until a condition holds."""
    return wait_until


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Return a function that starts a service of its own with the settings given to it."""

    def start(**settings: object) -> AbstractContextManager[Server]:
        return run_server(tmp_path_factory.mktemp("serve") / "server.log", **settings)

    return start


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service on the released weights."""
    with run_server(tmp_path_factory.mktemp("released") / "server.log") as server:
        yield server


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Iterator[Server]:
    """A service on a tiny random network: fast, for what does not depend on the numbers."""
    with run_server(tmp_path_factory.mktemp("tiny") / "server.log", weights=tiny_weights) as server:
        yield server


@pytest.fixture(scope="session")
def server_url(released: Server) -> str:
    """Address of a service on the released weights."""
    return released.url


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A real photo: (512, 512, 3) uint8."""
    return photos.astronaut()


@pytest.fixture(scope="session")
def jpeg(photo: np.ndarray) -> bytes:
    """The same photo as a camera would send it."""
    return encode(photo, "JPEG", quality=92)


CheckProblem = Callable[..., str]


@pytest.fixture(scope="session")
def check_problem() -> CheckProblem:
    """A function that asserts that an answer is problem JSON; it returns the detail."""

    def check(answer: httpx.Response, status: int, code: str) -> str:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert set(body) == {"type", "title", "status", "code", "detail", "request_id"}
        assert (body["status"], body["code"]) == (status, code)
        assert body["title"] == HTTPStatus(status).phrase
        assert body["request_id"] == answer.headers["x-request-id"]
        assert body["detail"]
        assert "\n" not in body["detail"]
        return body["detail"]

    return check


def encode(image: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """Return an image as a file's bytes."""
    file = BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()
