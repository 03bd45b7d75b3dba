import dataclasses
import json

import pytest

from saliency.batch import flatten, list_columns, to_fields
from saliency.insights import AspectRatio, summarize
from saliency.types import Uncertainty


@pytest.fixture
def record(predict, photos, tmp_path):
    return predict(photos / "b.png", tmp_path / "out")[0].entry.record


def test_a_record_has_the_predictions_own_field_names(record, predictor, photos):
    prediction = predictor.predict(photos / "b.png")
    assert record.keys() == {"image", "overlay", "map", *to_fields(prediction)}
    assert record["image_size"] == list(prediction.image_size)
    assert record["score_std"] == pytest.approx(prediction.score_std, abs=1e-4)
    assert record["score_distribution"] == pytest.approx(
        prediction.score_distribution.tolist(), abs=1e-4
    )


def test_a_record_has_the_insights_own_field_names(record, predictor, photos):
    summary = summarize(predictor.predict(photos / "b.png").density)
    assert record["saliency"].keys() == {field.name for field in dataclasses.fields(summary)}
    assert record["saliency"]["entropy"] == pytest.approx(summary.entropy, abs=1e-4)
    assert record["saliency"]["center_of_mass"] == pytest.approx(
        summary.center_of_mass._asdict(), rel=1e-3
    )
    shares = [point["share"] for point in record["saliency"]["focal_points"]]
    assert shares == pytest.approx([point.share for point in summary.focal_points], abs=1e-3)


def test_a_record_is_what_json_gives_back(record):
    assert json.loads(json.dumps(record)) == record


def test_a_row_fills_the_columns_that_are_listed(record):
    row = flatten(record)
    columns = list_columns()
    assert set(row) <= set(columns)
    # An untrained network's map need not have five focal points; everything else is there.
    assert {name for name in columns if "focal_point" not in name} <= set(row)
    for name, cell in row.items():
        assert cell is None or isinstance(cell, columns[name]), name


def test_a_row_has_the_records_values(record):
    row = flatten(record)
    assert [row["image_height"], row["image_width"]] == record["image_size"]
    assert row["score_distribution_3"] == record["score_distribution"][2]
    assert row["center_of_mass_y"] == record["saliency"]["center_of_mass"]["y"]
    assert row["overlay"] == "b.overlay.png"


def test_crops_have_columns_by_shape(record):
    crop = {
        "aspect": "16:9",
        "box": [1, 2, 3, 4],
        "kept_attention": 0.5,
        "score": None,
        "file": "b.crop-16x9-1.jpg",
    }
    row = flatten({**record, "crops": [crop]})
    assert row["crop_16x9_height"] == 4
    assert row["crop_16x9_file"] == "b.crop-16x9-1.jpg"
    assert set(row) <= set(list_columns([AspectRatio.parse("16:9")]))


def test_a_network_without_a_saliency_head_leaves_cells_empty(record):
    row = flatten({**record, "saliency": None})
    assert "entropy" not in row
    assert row["score"] == record["score"]


def test_a_name_that_is_no_utf8_becomes_text(record):
    assert flatten({**record, "image": "caf\udce9.jpg"})["image"] == r"caf\xe9.jpg"


def test_how_far_to_trust_it_is_told_where_it_is_known(predictor, photos):
    prediction = predictor.predict(photos / "b.png")
    assert "uncertainty" not in to_fields(prediction)
    known = dataclasses.replace(prediction, uncertainty=Uncertainty(score_error_std=0.5))
    assert to_fields(known)["uncertainty"] == {"score_error_std": 0.5}


@pytest.fixture
def telling_record(record):
    """A record by a network that tells more than saliency and score."""
    attributes = {
        "valence": {"value": 5.1, "std": 0.4},
        "arousal": 3.0,
        "category": {"label": "Animal", "probabilities": {"Animal": 0.75, "Scene": 0.25}},
    }
    return {**record, "attributes": attributes, "uncertainty": {"score_error_std": 0.5}}


def test_a_row_tells_what_not_every_network_tells(telling_record):
    row = flatten(telling_record)
    assert (row["attribute_valence"], row["attribute_valence_std"]) == (5.1, 0.4)
    assert row["attribute_arousal"] == 3.0
    assert row["attribute_category"] == "Animal"
    assert row["attribute_category_Scene"] == 0.25
    assert row["score_error_std"] == 0.5


def test_the_columns_are_those_of_what_a_record_tells(record, telling_record):
    columns = list_columns(record=telling_record)
    assert set(flatten(telling_record)) <= set(columns)
    assert columns["attribute_category"] is str
    assert columns["attribute_arousal"] is float
    assert list(list_columns(record=record)) == list(list_columns())
