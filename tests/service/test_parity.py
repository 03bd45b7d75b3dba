"""Library, command line, HTTP and client give the same record of a photo, in every field."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from saliency import Predictor
from saliency.batch import read_entries
from saliency.client import Client
from saliency.insights import Box, Region, measure_regions
from saliency.records import Record, RegionRecord

NAMES = ("photo.jpg", "large.jpg", "portrait.png", "damaged.jpg", "grey.png")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photo, jpeg):
    """Photos whose ways through decoding differ."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "photo.jpg").write_bytes(jpeg)
    # Large enough to be decoded in fewer pixels.
    Image.fromarray(photo).resize((3000, 2400)).save(folder / "large.jpg", quality=90)
    Image.fromarray(photo[:, 100:400]).save(folder / "portrait.png")
    (folder / "damaged.jpg").write_bytes(jpeg[:-2])  # without the marker of its end
    Image.new("RGB", (300, 200), "grey").save(folder / "grey.png")
    return folder


@pytest.fixture(scope="module")
def library(folder):
    predictor = Predictor.load(device="cpu")
    return {name: predictor.record(folder / name) for name in NAMES}


def run(*words):
    command = [sys.executable, "-m", "saliency", *map(str, words), "-d", "cpu"]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def command_line(folder, tmp_path_factory):
    """The records of `saliency predict`, with and without crops, without what it has written."""
    found = {}
    for options in ((), ("--crop", "1:1")):
        out = tmp_path_factory.mktemp("out")
        run("predict", folder, "-o", out, *options)
        for entry in read_entries(str(out)):
            record = dataclasses.replace(entry.record, overlay=None, map=None, crops=())
            found[options, Path(entry.image).name] = record
    return found


def assert_equal(found: Record, expected: Record) -> None:
    """Compare every field, and every number in it to 1e-4 of its size."""
    assert_like(found.to_json(), expected.to_json(), "record")


def assert_like(found, expected, path):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            assert_like(found[key], value, f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for number, value in enumerate(expected):
            assert_like(found[number], value, f"{path}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4), path
    else:
        assert found == expected, path


def test_the_photos_are_of_every_kind(library):
    assert library["damaged.jpg"].notes
    assert not library["grey.png"].has_content
    assert library["portrait.png"].height > library["portrait.png"].width
    assert len(library["photo.jpg"].saliency.focal_points) > 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [(), ("--crop", "1:1")], ids=["plain", "crops"])
def test_the_command_line_says_what_the_library_says(command_line, library, name, options):
    assert_equal(command_line[options, name], library[name])


@pytest.mark.parametrize("name", NAMES)
def test_http_says_what_the_library_says(server_url, folder, library, name):
    with (folder / name).open("rb") as file:
        answer = httpx.post(f"{server_url}/v1/predict", files={"image": (name, file)}, timeout=60)
    record = Record.from_json(answer.json())
    assert record.image == name
    assert_equal(dataclasses.replace(record, image=str(folder / name)), library[name])


@pytest.mark.parametrize("name", NAMES)
def test_the_client_says_what_the_library_says(server_url, folder, library, name):
    with Client(server_url) as client:
        assert_equal(client.predict(folder / name), library[name])


def test_a_region_is_the_same_in_all(server_url, folder):
    path, box = folder / "photo.jpg", Box(165, 60, 125, 130)
    density = Predictor.load(device="cpu").predict(path).density
    expected = RegionRecord.of("face", measure_regions(density, [box])[0]).to_json()
    with Client(server_url) as client:
        by_client = client.regions(path, [Region("face", box)])[0].to_json()
    told = json.loads(run("regions", path, "--box", f"face={box}", "--json").stdout)
    assert_like(by_client, expected, "client")
    assert_like(told["regions"][0], expected, "command line")


def test_a_crop_is_the_same_in_all(server_url, folder, tmp_path):
    path = folder / "portrait.png"
    run("predict", path, "-o", tmp_path, "--crop", "4:5", "--overlay", "none", "--map", "none")
    [entry] = read_entries(tmp_path)
    [written] = entry.record.crops
    with Client(server_url) as client:
        [suggested] = client.crops(path, ["4:5"])
    assert_like(suggested.to_json(), dataclasses.replace(written, file=None).to_json(), "crop")
    with Image.open(io.BytesIO((tmp_path / written.file).read_bytes())) as picture:
        assert np.asarray(picture).shape[:2] == (written.box.height, written.box.width)
