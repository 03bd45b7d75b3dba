import json

import numpy as np
import pytest

from saliency.calibration import Calibration, calibration_of
from saliency.checkpoint import released_weights
from saliency.errors import ConfigError

MAP = Calibration((4.0, 5.0, 6.0), (1.0, 2.0, 5.0), "sha", {"rows": 40})


@pytest.mark.parametrize(
    ("score", "rating"), [(4, 1), (4.5, 1.5), (5, 2), (5.5, 3.5), (6, 5), (1, 1), (10, 5)]
)
def test_between_corners_the_map_is_straight_and_beyond_them_flat(score, rating):
    assert MAP.apply(score) == rating


def test_an_array_is_mapped_as_its_elements():
    ratings = MAP.apply(np.array([[4.5, 5.5], [1.0, 10.0]]))
    np.testing.assert_array_equal(ratings, [[1.5, 3.5], [1, 5]])


def test_a_single_corner_is_a_constant():
    assert Calibration((5.0,), (3.0,), "sha").apply(9.0) == 3


def test_a_calibration_is_read_back(tmp_path):
    MAP.save(tmp_path / "mine.calibration.json")
    assert Calibration.load(tmp_path / "mine.calibration.json") == MAP
    assert Calibration.load(str(tmp_path / "mine.calibration.json")) == MAP


@pytest.mark.parametrize(
    ("scores", "ratings"),
    [
        ((), ()),
        ((1.0, 2.0), (1.0,)),
        ((2.0, 1.0), (1.0, 2.0)),
        ((1.0, 1.0), (1.0, 2.0)),
        ((1.0, 2.0), (2.0, 1.0)),
        ((1.0, float("nan")), (1.0, 2.0)),
        ((1.0, 2.0), (1.0, float("inf"))),
    ],
)
def test_a_map_that_is_not_monotone_is_refused(scores, ratings):
    with pytest.raises(ConfigError, match="ascending scores"):
        Calibration(scores, ratings, "sha")


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        json.dumps({"scores": 1, "ratings": [1], "weights_sha256": "", "origin": {}}).encode(),
        json.dumps({"scores": [1], "ratings": [1], "weights_sha256": "", "origin": 5}).encode(),
    ],
)
def test_what_is_no_calibration_is_named(tmp_path, content):
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path} should be a file that `saliency calibrate`"):
        Calibration.load(path)


def test_other_weights_need_another_calibration():
    MAP.check_weights("sha")
    with pytest.raises(ConfigError, match="weights it was made with"):
        MAP.check_weights("another sha")


def test_its_place_is_beside_the_weights():
    place = calibration_of(released_weights())
    assert place == released_weights().parent / "aesthetic-saliency.calibration.json"
