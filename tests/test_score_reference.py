"""Percentiles are those of known scores, and a reference belongs to its weights."""

import json

import numpy as np
import pytest

from saliency import Predictor
from saliency.batch.scoring import score_photos
from saliency.checkpoint import released_weights, to_sha256
from saliency.errors import ConfigError
from saliency.score_reference import ScoreReference, reference_of

EVEN = ScoreReference.measure({"a": np.linspace(2, 4, 500), "b": np.linspace(4, 6, 501)}, "sha")


@pytest.mark.parametrize(
    ("score", "percentile"), [(1, 0), (2, 0), (3, 25), (4, 50), (5.5, 87.5), (6, 100), (9, 100)]
)
def test_a_percentile_is_the_share_of_lower_scores(score, percentile):
    assert EVEN.to_percentile(score) == pytest.approx(percentile, abs=0.1)


@pytest.mark.parametrize(
    ("score", "stars"), [(1, 1), (2.7, 1), (2.9, 2), (3.7, 3), (4.5, 4), (5.3, 5), (6, 5), (9, 5)]
)
def test_each_fifth_is_worth_a_star(score, stars):
    assert EVEN.to_stars(score) == stars


@pytest.mark.parametrize(("score", "place"), [(1, 100), (2.1, 100), (4, 50), (4.07, 50), (9, 1)])
def test_a_place_among_100_is_told_in_steps_of_five(score, place):
    assert EVEN.to_place(score) == place


def test_all_photos_count_alike():
    reference = ScoreReference.measure({"few": np.full(10, 9.0), "many": np.full(90, 1.0)}, "sha")
    assert reference.to_percentile(5) == pytest.approx(90, abs=1)
    assert reference.photos == {"few": 10, "many": 90}


def test_a_reference_is_read_back(tmp_path):
    EVEN.save(tmp_path / "reference.json")
    assert ScoreReference.load(tmp_path / "reference.json", "sha") == EVEN


def test_another_checkpoints_reference_is_refused(tmp_path):
    EVEN.save(tmp_path / "reference.json")
    with pytest.raises(ConfigError, match="made with the weights beside it"):
        ScoreReference.load(tmp_path / "reference.json", "another sha")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "{}",
        json.dumps({"quantiles": [1], "weights_sha256": "sha", "photos": {}}),
        json.dumps({"quantiles": [2, 1], "weights_sha256": "sha", "photos": {}}),
        json.dumps({"quantiles": ["x", 1], "weights_sha256": "sha", "photos": {}}),
        '{"quantiles": [1, NaN], "weights_sha256": "sha", "photos": {}}',
    ],
)
def test_what_is_no_reference_is_named(tmp_path, content):
    path = tmp_path / "reference.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=f"{path} should"):
        ScoreReference.load(path, "sha")


def test_the_released_weights_have_their_reference():
    weights = released_weights()
    reference = ScoreReference.load(reference_of(weights), to_sha256(weights))
    assert sum(reference.photos.values()) == 1700
    assert len(reference.quantiles) == 101


@pytest.mark.data
@pytest.mark.slow
def test_the_reference_is_what_the_released_weights_say(data_root):
    # One of its four sets, whose scores are among those of all.
    weights = released_weights()
    reference = ScoreReference.load(reference_of(weights), to_sha256(weights))
    paths = sorted((data_root / "osie/stimuli").glob("*.jpg"))
    scores = [o.score for o in score_photos(Predictor.load(weights, "cpu"), paths)]
    assert len(scores) == reference.photos["OSIE"]
    assert min(scores) >= reference.quantiles[0] - 1e-3
    assert max(scores) <= reference.quantiles[-1] + 1e-3
    assert reference.quantiles[30] < np.median(scores) < reference.quantiles[70]
