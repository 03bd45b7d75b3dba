"""Records of photos: to JSON, from JSON, and as a row of a table."""

import dataclasses
import json

import numpy as np
import pytest

from saliency import Predictor, Uncertainty
from saliency.attributes import AttributeEstimate
from saliency.datasets import DrawnDataset
from saliency.errors import RecordError
from saliency.insights import (
    COARSE_SIDE,
    AspectRatio,
    Box,
    Point,
    measure_quality,
    measure_regions,
    summarize,
)
from saliency.records import (
    A_LOT_FROM,
    AGREE_BELOW,
    CropRecord,
    Record,
    RegionRecord,
    list_columns,
    to_disagreement,
)

CROP = CropRecord("16:9", Box(1, 2, 3, 4), 0.5, 0.1, None, 1, "b.crop-16x9-1.jpg")
ATTRIBUTES = (
    AttributeEstimate("valence", 5.1, 0.4),
    AttributeEstimate("arousal", 3.0),
    AttributeEstimate("kind", label="Animal", probabilities={"Animal": 0.75, "Scene": 0.25}),
)


@pytest.fixture(scope="module")
def predictor(tiny_weights):
    return Predictor.load(tiny_weights, "cpu")


@pytest.fixture(scope="module")
def photo():
    return DrawnDataset(1, seed=0)[0].image


@pytest.fixture(scope="module")
def record(predictor, photo) -> Record:
    return predictor.record(photo, "photos/b.png")


@pytest.fixture(scope="module")
def full(record) -> Record:
    """A record in which nothing is missing."""
    return dataclasses.replace(
        record,
        attributes=ATTRIBUTES,
        uncertainty=Uncertainty(score_error_std=0.5),
        notes=("its colour profile is ignored: it is damaged",),
        overlay="b.overlay.png",
        map="b.map.png",
        crops=(CROP,),
    )


def test_a_record_has_the_numbers_of_prediction_and_insights(record, predictor, photo):
    prediction = predictor.predict(photo)
    assert record.image == "photos/b.png"
    assert record.image_size == prediction.image_size
    assert (record.score, record.score_std) == (prediction.score, prediction.score_std)
    assert record.score_distribution == tuple(prediction.score_distribution.tolist())
    density = prediction.density_within(COARSE_SIDE)
    assert record.saliency == summarize(density, image_size=prediction.image_size)
    assert record.quality == measure_quality(photo, prediction.network_density)


def test_a_record_takes_its_name_from_its_path(predictor, photo, tmp_path):
    from PIL import Image

    Image.fromarray(photo).save(tmp_path / "a.png")
    assert predictor.record(tmp_path / "a.png").image == str(tmp_path / "a.png")
    assert predictor.record(photo).image == ""


@pytest.mark.parametrize("which", ["record", "full"])
def test_json_gives_the_record_back(which, request):
    record = request.getfixturevalue(which)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_sizes_boxes_and_points_are_named_in_json(full):
    plain = full.to_json()
    assert plain["schema_version"] == 2
    assert (plain["height"], plain["width"]) == full.image_size
    center = full.saliency.center_of_mass
    assert plain["saliency"]["center_of_mass"] == {"x": center.x, "y": center.y}
    for rank, point in enumerate(plain["saliency"]["focal_points"], start=1):
        assert set(point) == {"x", "y", "share", "rank"}
        assert point["rank"] == rank
    assert plain["crops"][0]["box"] == {"x": 1, "y": 2, "width": 3, "height": 4}
    assert plain["attributes"]["arousal"]["value"] == 3.0


def test_every_key_is_there_whatever_is_known(record, full):
    assert list(record.to_json()) == list(full.to_json())


def test_words_stand_beside_the_numbers(record):
    plain = record.to_json()
    assert plain["disagreement"] == to_disagreement(record.score_std)
    assert plain["quality"]["sentence"].endswith(".")


@pytest.mark.parametrize(
    ("score_std", "words"),
    [
        (AGREE_BELOW - 0.01, "people agree"),
        (AGREE_BELOW, "people disagree"),
        (A_LOT_FROM, "people disagree a lot"),
    ],
)
def test_disagreement_is_told_in_words(score_std, words):
    assert to_disagreement(score_std) == words


def test_one_colour_has_no_content_and_a_photo_has(predictor, record):
    grey = predictor.record(np.full((60, 90, 3), 128, np.uint8))
    assert not grey.has_content
    assert grey.quality.sentence.startswith("No picture")
    assert record.has_content


@pytest.mark.parametrize("data", [{}, [], None, {"schema_version": 1, "image": "a.png"}])
def test_what_another_version_wrote_is_refused(data):
    with pytest.raises(RecordError, match="`schema_version` 2"):
        Record.from_json(data)


@pytest.mark.parametrize("name", ["width", "saliency", "quality", "crops"])
def test_half_a_record_is_refused_and_says_what_is_missing(full, name):
    plain = full.to_json()
    del plain[name]
    with pytest.raises(RecordError, match=name):
        Record.from_json(plain)


def test_what_stands_beside_a_record_is_passed_over(record):
    assert Record.from_json({**record.to_json(), "timings": {"total_ms": 3}}) == record


def test_a_region_comes_back_from_json():
    measured = measure_regions(np.full((10, 20), 1 / 200, np.float32), [Box(1, 2, 3.5, 4)])[0]
    region = RegionRecord.of("cta", measured)
    assert RegionRecord.from_json(json.loads(json.dumps(region.to_json()))) == region
    assert isinstance(region.peak_at, Point)


def test_a_row_fills_the_columns_that_are_listed(full):
    row = full.to_row()
    columns = list_columns([AspectRatio.parse("16:9")], full)
    assert set(row) <= set(columns)
    for name, cell in row.items():
        assert isinstance(cell, columns[name]) or (columns[name], type(cell)) == (float, int), name


def test_a_row_has_the_records_values(full):
    row = full.to_row()
    assert (row["height"], row["width"]) == full.image_size
    assert row["score_distribution_3"] == full.score_distribution[2]
    assert row["center_of_mass_y"] == full.saliency.center_of_mass.y
    assert row["disagreement"] == full.disagreement
    assert row["quality_has_content"] is True
    assert row["overlay"] == "b.overlay.png"
    assert row["notes"] == full.notes[0]
    assert row["crop_16x9_height"] == 4
    assert row["crop_16x9_file"] == "b.crop-16x9-1.jpg"


def test_a_row_tells_what_not_every_network_tells(full):
    row = full.to_row()
    assert (row["attribute_valence"], row["attribute_valence_std"]) == (5.1, 0.4)
    assert row["attribute_arousal"] == 3.0
    assert row["attribute_kind"] == "Animal"
    assert row["attribute_kind_Scene"] == 0.25
    assert row["score_error_std"] == 0.5


def test_the_columns_are_those_of_what_a_record_tells(record, full):
    columns = list_columns(record=full)
    assert columns["attribute_kind"] is str
    assert columns["attribute_arousal"] is float
    assert list(list_columns(record=record)) == list(list_columns())


def test_a_network_without_a_saliency_head_leaves_cells_empty(record):
    row = dataclasses.replace(record, saliency=None, quality=None).to_row()
    assert "entropy" not in row
    assert row["score"] == record.score


def test_a_name_that_is_no_utf8_becomes_text(record):
    odd = dataclasses.replace(record, image="caf\udce9.jpg")
    assert odd.to_row()["image"] == r"caf\xe9.jpg"
