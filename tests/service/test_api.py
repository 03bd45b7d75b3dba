"""Every route, answered: formats, numbers equal to the library's."""

import base64
import io
import json

import cv2
import numpy as np
import pytest

from saliency import Card, Checkpoint, Predictor, save_checkpoint
from saliency.attributes import Attribute
from saliency.checkpoint import released_weights, to_sha256
from saliency.insights import COARSE_SIDE, Box, measure_regions, summarize
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing
from saliency.rendering import to_heatmap, to_overlay, to_saliency_map

JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def client(released):
    with released.client() as client:
        yield client


@pytest.fixture(scope="module")
def expected(jpeg):
    """What the library says of the same bytes."""
    return Predictor.load(device="cpu").predict(jpeg)


def decode_png(data):
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def test_the_numbers_are_those_of_the_library(client, jpeg, expected):
    body = client.post("/v1/predict", content=jpeg, headers=JPEG).json()
    assert body["score"] == pytest.approx(expected.score, abs=1e-4)
    assert body["score_std"] == pytest.approx(expected.score_std, abs=1e-4)
    np.testing.assert_allclose(body["score_distribution"], expected.score_distribution, atol=1e-4)
    assert (body["height"], body["width"]) == (512, 512)


def test_the_density_is_that_of_the_library(client, jpeg, expected):
    headers = JPEG | {"Accept": "application/x-npy"}
    answer = client.post("/v1/predict", content=jpeg, headers=headers)
    assert answer.headers["content-type"] == "application/x-npy"
    density = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert density.dtype == np.float32
    np.testing.assert_allclose(density, expected.density, atol=1e-4 * expected.density.max())


def test_the_summary_is_that_of_the_library(client, jpeg, expected):
    body = client.post("/v1/predict", content=jpeg, headers=JPEG).json()["saliency"]
    summary = summarize(expected.density_within(COARSE_SIDE), image_size=expected.image_size)
    assert body["entropy"] == pytest.approx(summary.entropy, abs=1e-4)
    assert body["concentration"] == pytest.approx(summary.concentration, abs=1e-4)
    assert [p["share"] for p in body["focal_points"]] == pytest.approx(
        [p.share for p in summary.focal_points], abs=1e-3
    )
    assert body["center_of_mass"]["x"] == pytest.approx(summary.center_of_mass.x, abs=0.1)
    assert [p["rank"] for p in body["focal_points"]] == [p.rank for p in summary.focal_points]
    assert body["thirds_distance"] == pytest.approx(summary.thirds_distance, abs=1e-3)
    assert body["left_right_balance"] == pytest.approx(summary.left_right_balance, abs=1e-3)


def test_a_form_and_a_raw_body_get_the_same_answer(client, jpeg):
    raw = client.post("/v1/predict", content=jpeg, headers=JPEG).json()
    form = client.post("/v1/predict", files={"image": ("a.jpg", jpeg)}).json()
    assert form["score_distribution"] == raw["score_distribution"]


@pytest.mark.parametrize(
    ("query", "draw"),
    [
        ("", lambda photo, density: to_overlay(photo, density)),
        ("?legend=true", lambda photo, density: to_overlay(photo, density, legend=True)),
        ("?render=heatmap", lambda _, density: to_heatmap(density)),
        ("?render=map", lambda _, density: to_saliency_map(density)),
        ("?render=map&bits=16", lambda _, density: to_saliency_map(density, bits=16)),
    ],
)
def test_pictures_are_those_of_the_library(client, photo, query, draw):
    png = cv2.imencode(".png", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))[1].tobytes()
    drawn = draw(photo, Predictor.load(device="cpu").predict(photo).density)
    headers = {"Content-Type": "image/png", "Accept": "image/png"}
    answer = client.post(f"/v1/predict{query}", content=png, headers=headers)
    assert answer.headers["content-type"] == "image/png"
    picture = decode_png(answer.content)
    assert picture.dtype == drawn.dtype
    steps = 2 if drawn.dtype == np.uint8 else 30
    assert np.abs(picture.astype(int) - drawn.astype(int)).max() <= steps


def test_the_map_comes_in_the_json_only_when_asked(client, jpeg, expected):
    assert client.post("/v1/predict", content=jpeg, headers=JPEG).json()["map_png"] is None
    encoded = client.post("/v1/predict?map=16", content=jpeg, headers=JPEG).json()["map_png"]
    picture = decode_png(base64.b64decode(encoded, validate=True))
    drawn = to_saliency_map(expected.density, bits=16)
    assert np.abs(picture.astype(int) - drawn.astype(int)).max() <= 30


def test_json_comes_to_who_does_not_say(client, jpeg):
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.5"):
        answer = client.post("/v1/predict", content=jpeg, headers=JPEG | {"Accept": accept})
        assert answer.headers["content-type"] == "application/json"


def test_timings_name_every_stage(client, jpeg):
    timings = client.post("/v1/predict", content=jpeg, headers=JPEG).json()["timings"]
    assert set(timings) == {"queue_ms", "decode_ms", "forward_ms", "render_ms", "total_ms"}
    assert timings["total_ms"] >= timings["forward_ms"] > 0


def test_a_batch_answers_each_in_order(client, jpeg):
    files = [
        ("images", ("first.jpg", jpeg)),
        ("images", ("broken.jpg", jpeg[: len(jpeg) // 2])),
        ("images", ("third.jpg", jpeg)),
    ]
    answer = client.post("/v1/predict/batch", files=files)
    assert answer.status_code == 200
    first, broken, third = answer.json()["results"]
    assert [first["name"], broken["name"], third["name"]] == [
        "first.jpg",
        "broken.jpg",
        "third.jpg",
    ]
    assert first["error"] is None
    assert first["prediction"]["score"] == third["prediction"]["score"]
    assert broken["prediction"] is None
    assert broken["error"]["code"] == "image_undecodable"


def test_regions_are_those_of_the_library(client, jpeg, expected):
    boxes = [[165, 60, 125, 130], [0, 0, 60, 60], [400.5, 10.25, 500, 50]]
    form = {"files": {"image": ("a.jpg", jpeg)}, "data": {"boxes": json.dumps(boxes)}}
    regions = client.post("/v1/regions", **form).json()["regions"]
    library = measure_regions(expected.density, [Box(*box) for box in boxes])
    for found, wanted in zip(regions, library, strict=True):
        assert found["share"] == pytest.approx(wanted.share, abs=1e-4)
        assert found["share_per_area"] == pytest.approx(wanted.share_per_area, abs=1e-3)
        assert found["rank"] == wanted.rank
    found = [[*region["box"].values()] for region in regions]
    assert found == [*boxes[:2], [400.5, 10.25, 111.5, 50]]
    assert [region["name"] for region in regions] == ["1", "2", "3"]


def test_boxes_may_be_named_and_are_answered_as_they_are_sent(client, jpeg):
    boxes = [{"name": "face", "x": 165, "y": 60, "width": 125, "height": 130}]
    form = {"files": {"image": ("a.jpg", jpeg)}, "data": {"boxes": json.dumps(boxes)}}
    body = client.post("/v1/regions", **form).json()
    [region] = body["regions"]
    assert {"name": region["name"], **region["box"]} == boxes[0]
    assert (body["image"], body["schema_version"]) == ("a.jpg", 2)


def test_boxes_may_come_in_the_query(client, jpeg):
    url = "/v1/regions?box=165,60,125,130&box=0,0,60,60"
    regions = client.post(url, content=jpeg, headers=JPEG).json()["regions"]
    assert [region["rank"] for region in regions] == [1, 2]


def test_crops_keep_their_aspect_and_say_what_they_keep(client, jpeg, expected):
    url = "/v1/crops?aspect=16:9&aspect=4:5&count=2"
    body = client.post(url, content=jpeg, headers=JPEG).json()
    assert [c["aspect"] for c in body["crops"]] == ["16:9", "16:9", "4:5", "4:5"]
    assert [c["rank"] for c in body["crops"]] == [1, 2, 1, 2]
    for crop in body["crops"]:
        x, y, width, height = (int(side) for side in crop["box"].values())
        assert 0 <= x < x + width <= 512
        assert 0 <= y < y + height <= 512
        wide, high = map(int, crop["aspect"].split(":"))
        assert width / height == pytest.approx(wide / high, rel=0.02)
        kept = expected.density[y : y + height, x : x + width].sum()
        assert crop["kept_attention"] == pytest.approx(kept, abs=1e-3)
        assert 0 <= crop["cut_attention"] <= 1


def test_a_crops_score_is_that_of_the_cut_photo(client, photo):
    headers = {"Content-Type": "image/png"}
    png = cv2.imencode(".png", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))[1].tobytes()
    url = "/v1/crops?aspect=1:1&count=1"
    [crop] = client.post(url, content=png, headers=headers).json()["crops"]
    x, y, width, height = (int(side) for side in crop["box"].values())
    cut = np.ascontiguousarray(photo[y : y + height, x : x + width])
    score = Predictor.load(device="cpu").predict(cut).score
    assert crop["score"] == pytest.approx(score, abs=1e-4)


def test_the_model_is_the_released_one(client):
    body = client.get("/v1/model").json()
    assert body["sha256"] == to_sha256(released_weights())
    assert body["metrics"]
    assert body["preprocessing"]["height"] == 288
    assert len(body["score_quantiles"]) == 101
    assert body["device"] == "cpu"


def test_the_openapi_document_names_every_route(client):
    document = client.get("/v1/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/predict",
        "/v1/predict/batch",
        "/v1/regions",
        "/v1/crops",
        "/v1/model",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    predict = document["paths"]["/v1/predict"]["post"]
    assert {"multipart/form-data", "image/jpeg"} <= set(predict["requestBody"]["content"])
    assert {"200", "400", "401", "406", "413", "415", "422", "429", "503", "504"} <= set(
        predict["responses"]
    )


def test_a_request_keeps_the_id_that_it_brings(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "my-id.7"})
    assert answer.headers["x-request-id"] == "my-id.7"


def test_an_id_that_would_spoil_a_log_is_replaced(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert answer.headers["x-request-id"] != "a b\tc"


def test_the_metrics_count_what_was_answered(client, jpeg):
    client.post("/v1/predict", content=jpeg, headers=JPEG)
    text = client.get("/metrics").text
    assert 'saliency_requests_total{method="POST",route="/v1/predict",status="200"}' in text
    assert 'saliency_images_total{outcome="predicted"}' in text
    for stage in ("queue", "decode", "forward", "render"):
        assert f'saliency_stage_seconds_count{{stage="{stage}"}}' in text
    assert "saliency_batch_size_count" in text
    assert "saliency_queue_length 0.0" in text


def test_a_network_that_tells_more_is_served_too(serve, jpeg, tmp_path):
    architecture = Architecture(
        "test_efficientnet",
        decoder_channels=16,
        attributes=(Attribute("mood", 1, 7), Attribute("kind", classes=("a", "b"))),
        heteroscedastic=True,
    )
    network = SaliencyNetwork(architecture)
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    weights = tmp_path / "own.safetensors"
    save_checkpoint(weights, Checkpoint(network, preprocessing, Card()))
    with serve(weights=weights) as server, server.client() as client:
        answer = client.post("/v1/predict", content=jpeg, headers=JPEG)
    assert answer.status_code == 200, answer.text
    expected = Predictor.load(weights, "cpu").predict(jpeg)
    told = answer.json()
    assert told["score"] == pytest.approx(expected.score, abs=1e-4)
    mood, kind = expected.attributes
    assert told["attributes"]["mood"]["value"] == pytest.approx(mood.value, abs=1e-4)
    assert told["attributes"]["kind"]["label"] == kind.label
    stated = expected.uncertainty.score_error_std
    assert told["uncertainty"]["score_error_std"] == pytest.approx(stated, abs=1e-3)
