"""Requests that a machine makes up: from the OpenAPI document, and from damaged images."""

import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,unsupported_method"
)


def test_what_the_document_allows_is_answered_as_it_says(tiny, tmp_path):
    """Half a minute of Schemathesis: about a thousand requests, from sensible to absurd."""
    command = [Path(sys.executable).with_name("schemathesis"), "run"]
    command += [f"{tiny.url}/v1/openapi.json", "--checks", CHECKS, "--suppress-health-check", "all"]
    command += ["--max-examples", "40", "--max-time", "30", "--seed", "1", "--no-color"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stdout[-5000:]
    with tiny.client() as client:
        assert client.get("/readyz").status_code == 200
        assert 'status="500"' not in client.get("/metrics").text
    assert "Traceback" not in tiny.log()


def damage(data, rng):
    """Flip, cut, repeat or swap some bytes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at : at + 4] = rng.randbytes(4)
            case 2:
                data[at : at + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
            case 3:
                del data[at : at + rng.randint(1, 50)]
                data = data or bytearray(b"\0")
            case _:
                data[at:at] = data[at : at + rng.randint(1, 50)]
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "HEIF"])
def test_a_damaged_image_is_read_or_refused(tiny, kind):
    if kind == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.register_heif_opener()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    rng = random.Random(kind)  # noqa: S311
    headers = {"Content-Type": "application/octet-stream"}
    with tiny.client() as client:
        for _ in range(150):
            data = damage(file.getvalue(), rng)
            answer = client.post("/v1/predict", content=data, headers=headers)
            assert answer.status_code in (200, 413, 422), answer.text
    assert tiny.process.poll() is None
    assert "Traceback" not in tiny.log()
