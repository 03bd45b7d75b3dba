"""Many clients at once: each gets its own answer, and every place comes back."""

import asyncio
import io
import re

import httpx
import numpy as np
import pytest
from PIL import Image

from saliency import Predictor
from saliency.insights import summarize

PNG = {"Content-Type": "image/png"}


def draw(seed, height, width):
    """A picture unlike any other: its own size, colours and spot."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(0, 256, 3), dtype=np.uint8)
    y, x = rng.integers(0, height // 2), rng.integers(0, width // 2)
    image[y : y + height // 3, x : x + width // 3] = rng.integers(0, 256, 3)
    return image


def encode(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def build_examples(predictor, count):
    """Pictures as PNG, and what the library says of each: size, score, entropy."""
    examples = []
    for seed in range(count):
        data = encode(draw(seed, 40 + 3 * seed, 60 + 2 * (seed % 7)))
        prediction = predictor.predict(data)
        entropy = summarize(prediction.density).entropy
        examples.append((data, prediction.image_size, prediction.score, entropy))
    assert len({size[0] for _, size, _, _ in examples}) == count
    return examples


def to_size(body):
    return body["height"], body["width"]


def check(answer, expected):
    if expected is None:
        assert answer.status_code == 422
        assert answer.json()["code"] == "image_undecodable"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        return
    _, size, score, entropy = expected
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["height"], body["width"]) == size
    assert body["score"] == pytest.approx(score, abs=1e-4)
    assert body["saliency"]["entropy"] == pytest.approx(entropy, abs=1e-4)


async def ask_all(url, requests, clients):
    """Post every body, `clients` at a time, each on a connection of its own."""
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        return await asyncio.gather(*(client.post(path, **request) for path, request in requests))


def mix(examples, count):
    """Requests in a random order, every fifth with half an image; and what each should get."""
    rng = np.random.default_rng(7)
    requests, wanted = [], []
    for i in range(count):
        example = examples[rng.integers(len(examples))]
        broken = i % 5 == 4
        data = example[0][: len(example[0]) // 2] if broken else example[0]
        requests.append(("/v1/predict", {"content": data, "headers": PNG}))
        wanted.append(None if broken else example)
    return requests, wanted


def build_head(data, path="/v1/predict"):
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def examples(tiny_weights):
    return build_examples(Predictor.load(tiny_weights, device="cpu"), 30)


def test_of_64_clients_each_gets_its_own_answer(tiny, examples):
    requests, wanted = mix(examples, 192)
    answers = asyncio.run(ask_all(tiny.url, requests, clients=64))
    for answer, expected in zip(answers, wanted, strict=True):
        check(answer, expected)
    assert tiny.metric("saliency_images_in_flight") == 0


def test_the_released_network_swaps_no_answers(released):
    examples = build_examples(Predictor.load(device="cpu"), 8)
    requests, wanted = mix(examples, 24)
    answers = asyncio.run(ask_all(released.url, requests, clients=12))
    for answer, expected in zip(answers, wanted, strict=True):
        check(answer, expected)


def test_batches_at_once_keep_their_order(tiny, examples):
    rng = np.random.default_rng(1)
    orders = [rng.permutation(len(examples))[:6] for _ in range(12)]
    requests = [
        ("/v1/predict/batch", {"files": [("images", (str(i), examples[i][0])) for i in order]})
        for order in orders
    ]
    answers = asyncio.run(ask_all(tiny.url, requests, clients=12))
    for answer, order in zip(answers, orders, strict=True):
        results = answer.json()["results"]
        assert [result["name"] for result in results] == [str(i) for i in order]
        for result, i in zip(results, order, strict=True):
            assert to_size(result["prediction"]) == examples[i][1]
            assert result["prediction"]["score"] == pytest.approx(examples[i][2], abs=1e-4)


def test_routes_asked_at_once_do_not_mix(tiny, examples):
    requests = []
    for data, *_ in examples:
        raw = {"content": data, "headers": PNG}
        requests += [
            ("/v1/crops?count=1&aspect=1:1", raw),
            ("/v1/regions?box=0,0,20,20", raw),
            ("/v1/predict", {"content": data, "headers": PNG | {"Accept": "application/x-npy"}}),
        ]
    answers = asyncio.run(ask_all(tiny.url, requests, clients=32))
    for i, (_, size, score, _) in enumerate(examples):
        crops, regions, density = answers[3 * i : 3 * i + 3]
        assert to_size(crops.json()) == to_size(regions.json()) == size
        assert crops.json()["score"] == pytest.approx(score, abs=1e-4)
        values = np.load(io.BytesIO(density.content), allow_pickle=False)
        assert values.shape == size
        share = values[:20, :20].sum()
        assert regions.json()["regions"][0]["share"] == pytest.approx(share, abs=1e-4)


def test_clients_that_leave_cost_nothing_for_long(tiny, examples, wait_until):
    """Forty at once ask for what takes a while, and close their sockets."""
    data = encode(draw(0, 2000, 3000))
    gone = 'saliency_requests_total{method="POST",route="/v1/predict",status="499"}'
    dropped = 'saliency_images_total{outcome="dropped"}'
    before = tiny.metric(gone), tiny.metric(dropped)
    sockets = [tiny.connect() for _ in range(40)]
    for sock in sockets:
        sock.sendall(build_head(data) + data)
    wait_until(lambda: tiny.metric("saliency_images_in_flight") > 10)
    for sock in sockets:
        sock.close()
    wait_until(lambda: tiny.metric("saliency_images_in_flight") == 0)
    assert tiny.metric(gone) >= before[0] + 10
    assert tiny.metric(dropped) > before[1]
    check(httpx.post(f"{tiny.url}/v1/predict", content=examples[0][0], headers=PNG), examples[0])
    assert "Traceback" not in tiny.log()


def test_a_full_queue_says_so_at_once_and_gives_every_place_back(
    serve, tiny_weights, examples, check_problem, wait_until
):
    data = examples[0][0]
    with serve(weights=tiny_weights, queue_length=2) as server, server.client() as client:
        # Two bodies that have not arrived yet hold both places.
        held = [server.connect() for _ in range(2)]
        for sock in held:
            sock.sendall(build_head(data) + data[:50])
        wait_until(lambda: server.metric("saliency_images_in_flight") == 2)

        refused = client.post("/v1/predict", content=data, headers=PNG)
        check_problem(refused, 503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1

        for sock in held:
            sock.sendall(data[50:])
        for sock in held:
            answer = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200 ")
            sock.close()
        assert server.metric("saliency_images_in_flight") == 0

        # A batch takes a place an image, all or none; one that never fits is too large.
        files = [("images", ("a.png", data))] * 3
        refused = client.post("/v1/predict/batch", files=files)
        assert "at most 2 images" in check_problem(refused, 413, "too_many_images")
        assert client.get("/v1/model").json()["limits"]["max_images"] == 2
        held = server.connect()
        held.sendall(build_head(data) + data[:50])
        wait_until(lambda: server.metric("saliency_images_in_flight") == 1)
        refused = client.post("/v1/predict/batch", files=files[:2])
        check_problem(refused, 503, "overloaded")
        held.close()
        wait_until(lambda: server.metric("saliency_images_in_flight") == 0)
        answer = client.post("/v1/predict/batch", files=files[:2])
        assert [result["error"] for result in answer.json()["results"]] == [None, None]
        assert server.metric("saliency_images_in_flight") == 0

        # Whoever leaves gives the place back, too.
        for sock in (server.connect(), server.connect()):
            sock.sendall(build_head(data) + data[:50])
            sock.close()
        wait_until(lambda: server.metric("saliency_images_in_flight") == 0)
        check(client.post("/v1/predict", content=data, headers=PNG), examples[0])


def test_batches_on_a_processor_give_the_same_numbers(serve, jpeg):
    expected = Predictor.load(device="cpu").predict(jpeg)
    with serve(batch_size=4, batch_window_ms=200) as server, server.client() as client:
        files = [("images", (f"{number}.jpg", jpeg)) for number in range(4)]
        results = client.post("/v1/predict/batch", files=files).json()["results"]
        metrics = client.get("/metrics").text
    for result in results:
        assert result["prediction"]["score"] == pytest.approx(expected.score, abs=1e-4)
    sizes = float(re.search(r"saliency_batch_size_sum (\S+)", metrics)[1])
    batches = float(re.search(r"saliency_batch_size_count (\S+)", metrics)[1])
    assert sizes == 4
    assert batches < 4
