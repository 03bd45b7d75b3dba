"""The service does not keep photos in memory."""

import io
import json

import numpy as np
import pytest
from PIL import Image

PNG = {"Content-Type": "image/png"}
MIB = 2**20


def encode(size, seed, kind="PNG"):
    noise = np.random.default_rng(seed).integers(0, 256, (size // 10, size // 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((size, size), Image.Resampling.NEAREST).save(file, kind)
    return file.getvalue()


def ask(client, count):
    """Requests of every kind, a third of them to be refused."""
    photos = [encode(size, seed) for seed, size in enumerate((64, 300, 900, 1500))]
    for i in range(count):
        data = photos[i % 4]
        match i % 6:
            case 0:
                answer = client.post("/v1/predict?map=8", content=data, headers=PNG)
            case 1:
                headers = PNG | {"Accept": "image/png"}
                answer = client.post("/v1/predict", content=data, headers=headers)
            case 2:
                form = {
                    "files": {"image": ("a", data)},
                    "data": {"boxes": json.dumps([[0, 0, 9, 9]])},
                }
                answer = client.post("/v1/regions", **form)
            case 3:
                files = [("images", (str(j), photos[j])) for j in range(4)]
                answer = client.post("/v1/predict/batch", files=files)
            case 4:
                answer = client.post("/v1/predict", content=data[: len(data) // 2], headers=PNG)
                assert answer.status_code == 422
                continue
            case _:
                answer = client.get(f"/nope-{i}", headers={"X-Request-ID": f"id-{i}"})
                assert answer.status_code == 404
                continue
        assert answer.status_code == 200


@pytest.mark.slow
def test_four_hundred_requests_leave_less_than_48_mib(serve, tiny_weights):
    with serve(weights=tiny_weights) as server, server.client() as client:
        ask(client, 120)
        before = server.rss()
        ask(client, 400)
        grown = server.rss() - before
    assert grown < 48 * MIB, f"{grown / MIB:.0f} MiB"


@pytest.mark.slow
def test_a_rush_of_large_photos_is_decoded_a_few_at_a_time(serve, tiny_weights):
    """Forty photos of 12 megapixels, of a few kilobytes each: decoded at once they are 3 GB."""
    import asyncio

    import httpx

    file = io.BytesIO()
    Image.new("RGB", (4000, 3000), "red").save(file, "JPEG")
    data = file.getvalue()
    highest = [0]

    async def rush(server):
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            headers = {"Content-Type": "image/jpeg"}
            asked = [
                asyncio.create_task(client.post("/v1/predict", content=data, headers=headers))
                for _ in range(40)
            ]
            while not all(task.done() for task in asked):
                highest[0] = max(highest[0], server.rss())
                await asyncio.sleep(0.02)
            return [task.result().status_code for task in asked]

    with serve(weights=tiny_weights, threads=2) as server:
        before = server.rss()
        assert set(asyncio.run(rush(server))) == {200}
    assert highest[0] - before < 1500 * MIB
