"""The Python client with a real service, and its error without one."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from saliency import ImageError, Predictor, SaliencyError
from saliency.client import Client, ServiceError
from saliency.insights import Box, Region
from saliency.records import CropRecord, Record


@pytest.fixture(scope="module")
def client(tiny):
    with Client(tiny.url) as client:
        yield client


@pytest.fixture(scope="module")
def predictor(tiny_weights):
    return Predictor.load(tiny_weights, "cpu")


def test_a_record_is_named_by_the_photos_path(client, jpeg, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg)
    assert client.predict(tmp_path / "a.jpg").image == str(tmp_path / "a.jpg")
    assert client.predict(jpeg).image == ""


def test_many_photos_come_in_order_with_the_reasons_of_those_that_fail(client, jpeg, photo):
    broken = jpeg[: len(jpeg) // 2]
    first, second, third = client.predict_many([jpeg, broken, jpeg], at_once=2)
    assert isinstance(first, Record)
    assert first == third
    assert isinstance(second, ServiceError)
    assert (second.status, second.code) == (422, "image_undecodable")


def test_the_density_is_that_of_the_library(client, jpeg, predictor):
    expected = predictor.predict(jpeg).density
    density = client.density(jpeg)
    np.testing.assert_allclose(density, expected, atol=1e-4 * expected.max())


def test_a_picture_is_a_png(client, jpeg):
    assert client.picture(jpeg, "heatmap").startswith(b"\x89PNG")


def test_a_legend_is_below_an_overlay(client, jpeg):
    plain, explained = (
        Image.open(BytesIO(client.picture(jpeg, legend=legend))) for legend in (False, True)
    )
    assert explained.width == plain.width
    assert explained.height > plain.height


def test_regions_have_the_names_they_were_asked_by(client, jpeg):
    asked = [Region("face", Box(165, 60, 125, 130)), Box(0, 0, 60, 60)]
    found = client.regions(jpeg, asked)
    assert [region.name for region in found] == ["face", "2"]
    assert [region.box for region in found] == [asked[0].box, asked[1]]


def test_crops_come_by_shape(client, jpeg):
    crops = client.crops(jpeg, ["16:9", "1:1"], count=2)
    assert all(isinstance(crop, CropRecord) for crop in crops)
    assert [(crop.aspect, crop.rank) for crop in crops] == [
        ("16:9", 1),
        ("16:9", 2),
        ("1:1", 1),
        ("1:1", 2),
    ]


def test_the_model_says_its_limits(client):
    assert client.model()["limits"]["max_images"] == 16


def test_a_refusal_has_the_words_of_the_service(client):
    with pytest.raises(ServiceError, match=r"^The image "):
        client.predict(b"no picture at all")


def test_a_file_that_is_not_there_is_named(client):
    with pytest.raises(ImageError, match=r"absent\.jpg cannot be read"):
        client.predict("absent.jpg")


def test_where_nobody_answers_that_is_said():
    with (
        Client("http://127.0.0.1:1", timeout_s=5) as client,
        pytest.raises(ServiceError, match="should answer at") as raised,
    ):
        client.model()
    assert raised.value.status == 0
    assert isinstance(raised.value, SaliencyError)


def test_without_its_extra_it_says_how_to_get_it():
    code = "import sys; sys.modules['httpx'] = None; import saliency.client"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'aesthetic-saliency[client]'" in ended.stderr
