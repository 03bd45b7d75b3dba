"""Keys, rates, origins and headers of a service that others can reach."""

import asyncio
import subprocess
import sys

import pytest
from fastapi import Request

from service import security
from service.problems import Problem
from service.security import Gate, hash_key, new_key

KEYS = ["first-key", "second-key", "rate-key"]
ORIGIN = "https://photos.example"
RATE = 40


@pytest.fixture(scope="module")
def guarded(serve, tiny_weights):
    """A service with three keys, a rate and one origin, on every address."""
    settings = {
        "host": "0.0.0.0",  # noqa: S104
        "api_keys": " , ".join(hash_key(key) for key in KEYS),
        "rate_per_minute": RATE,
        "cors_origins": f"{ORIGIN},https://other.example",
    }
    with serve(weights=tiny_weights, **settings) as server:
        yield server


@pytest.fixture
def client(guarded):
    with guarded.client() as client:
        yield client


# --- keys ---


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first-key"},
        {"Authorization": "bearer second-key"},
        {"X-API-Key": "first-key"},
        {"X-API-Key": "second-key"},
    ],
)
def test_every_key_opens_in_either_header(client, headers):
    assert client.get("/v1/model", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "first-key2"},
        {"X-API-Key": "FIRST-KEY"},
        {"X-API-Key": hash_key("first-key")},
        {"X-API-Key": b"\xff\xfe"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic first-key"},
        {"Authorization": "first-key"},
        {"Authorization": "Bearer wrong", "X-API-Key": "first-key"},
        {"Cookie": "X-API-Key=first-key"},
    ],
)
def test_anything_else_is_unauthorized(client, headers, check_problem):
    answer = client.get("/v1/model", headers=headers)
    check_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_in_the_address_opens_nothing(client):
    assert client.get("/v1/model?api_key=first-key&key=first-key").status_code == 401


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict/batch", "/v1/regions", "/v1/crops"])
def test_without_a_key_no_photo_is_looked_at(client, path, check_problem):
    answer = client.post(path, content=b"x", headers={"Content-Type": "image/png"})
    check_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/healthz", "/readyz", "/metrics"])
def test_the_page_and_the_probes_need_no_key(client, path):
    assert client.get(path).status_code == 200


def test_no_key_is_in_the_log(client, guarded):
    client.get("/v1/model", headers={"X-API-Key": "first-key"})
    client.get("/v1/model", headers={"X-API-Key": "a-wrong-key"})
    assert "first-key" not in guarded.log()
    assert "a-wrong-key" not in guarded.log()


def test_a_new_key_has_the_printed_hash():
    command = [sys.executable, "-m", "service", "--new-key"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    first, second = output.splitlines()
    key = first.rpartition(" ")[2]
    assert second == f"SALIENCY_API_KEYS={hash_key(key)}"
    assert len(key) >= 40


def test_no_two_keys_are_equal():
    assert new_key() != new_key()


# --- rates ---


def test_a_key_beyond_its_rate_is_told_when_to_return(client, check_problem):
    mine = {"X-API-Key": "rate-key"}
    answers = [client.get("/v1/model", headers=mine) for _ in range(RATE + 5)]
    assert {answer.status_code for answer in answers[:RATE]} == {200}
    check_problem(answers[-1], 429, "too_many_requests")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    # Nobody else pays for it.
    assert client.get("/v1/model", headers={"X-API-Key": "first-key"}).status_code == 200
    assert client.get("/healthz").status_code == 200


def build_request(host="10.0.0.1", **headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "client": (host, 1)})


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: a list with the seconds in it."""
    now = [1000.0]
    monkeypatch.setattr(security.time, "monotonic", lambda: now[0])
    return now


def pass_gate(gate, request):
    """Whether the gate lets it pass; its Retry-After if not."""
    try:
        asyncio.run(gate(request))
    except Problem as problem:
        return int(problem.headers["Retry-After"])
    return True


def test_after_the_wait_that_was_named_a_client_may_ask_again(clock):
    gate = Gate([], rate_per_minute=6)
    assert [pass_gate(gate, build_request()) for _ in range(6)] == [True] * 6
    wait_s = pass_gate(gate, build_request())
    assert wait_s == 10
    clock[0] += wait_s - 1
    assert pass_gate(gate, build_request()) == 1
    clock[0] += 1
    assert pass_gate(gate, build_request()) is True


def test_rest_is_not_saved_up_beyond_a_minute(clock):
    gate = Gate([], rate_per_minute=3)
    assert pass_gate(gate, build_request()) is True
    clock[0] += 10_000
    assert [pass_gate(gate, build_request()) is True for _ in range(4)] == [True] * 3 + [False]


def test_without_keys_each_address_has_its_own_rate(clock):
    gate = Gate([], rate_per_minute=1)
    assert pass_gate(gate, build_request("10.0.0.1")) is True
    assert pass_gate(gate, build_request("10.0.0.2")) is True
    assert pass_gate(gate, build_request("10.0.0.1")) == 60


def test_an_address_that_a_client_claims_gets_no_rate_of_its_own(clock):
    gate = Gate([], rate_per_minute=1)
    assert pass_gate(gate, build_request(X_Forwarded_For="1.1.1.1", X_API_Key="a")) is True
    assert pass_gate(gate, build_request(X_Forwarded_For="2.2.2.2", X_API_Key="b")) == 60


def test_many_addresses_do_not_fill_the_memory(clock, monkeypatch):
    monkeypatch.setattr(security, "MAX_CLIENTS", 3)
    gate = Gate([], rate_per_minute=1)
    for i in range(10):
        assert pass_gate(gate, build_request(f"10.0.0.{i}")) is True
    assert len(gate._buckets) == 3
    assert pass_gate(gate, build_request("10.0.0.9")) == 60


# --- origins and headers ---


def test_a_listed_origin_may_read_answers(client):
    answer = client.get("/healthz", headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()


def test_a_listed_origin_may_read_errors(client):
    answer = client.get("/v1/model", headers={"Origin": ORIGIN})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_listed_origin_may_send_a_key(client):
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-api-key, content-type",
    }
    answer = client.options("/v1/predict", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", "http://photos.example"]
)
def test_another_origin_may_not(client, origin):
    answer = client.get("/healthz", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = client.options("/v1/predict", headers=preflight)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_without_a_setting_no_origin_may(tiny):
    with tiny.client() as client:
        answer = client.get("/healthz", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/static/app.js"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", "/v1/openapi.json"),
        ("GET", "/v1/model"),  # 401
        ("GET", "/nope"),
        ("PUT", "/v1/predict"),
        ("HEAD", "/"),
        ("OPTIONS", "/v1/predict"),
    ],
)
def test_every_answer_carries_the_safe_headers(client, method, path):
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    answer = client.request(method, path, headers=preflight)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "x-request-id" in answer.headers
    assert "server" not in answer.headers
