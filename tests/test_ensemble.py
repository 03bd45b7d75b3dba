"""Ensembles: the mean of several predictions, and their disagreement."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from saliency import Card, Checkpoint, Ensemble, Predictor, Uncertainty, save_checkpoint
from saliency.attributes import Attribute, AttributeEstimate
from saliency.ensemble import combine, map_disagreement
from saliency.errors import ConfigError
from saliency.evaluation import evaluate
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing
from saliency.types import SCORES, Prediction

ARCHITECTURE = Architecture(
    "test_efficientnet",
    decoder_channels=16,
    attributes=(Attribute("mood", 1, 7), Attribute("kind", classes=("a", "b"))),
)


def predictor(seed: int, architecture: Architecture = ARCHITECTURE) -> Predictor:
    torch.manual_seed(seed)
    network = SaliencyNetwork(architecture)
    with torch.no_grad():
        if network.decoder is not None:
            network.decoder.head.weight.mul_(20)
        if network.aesthetics is not None:
            network.aesthetics.logits.weight.mul_(10)
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    return Predictor(Checkpoint(network, preprocessing, Card()), "cpu")


def photos() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, size, dtype=np.uint8) for size in ((60, 90, 3), (90, 60, 3))]


@pytest.fixture(scope="module")
def members() -> list[Predictor]:
    return [predictor(0), predictor(1), predictor(2)]


def test_two_equal_members_agree_and_say_what_each_says():
    member = predictor(0)
    alone, together = member.predict(photos()[0]), Ensemble([member, member]).predict(photos()[0])
    assert together.uncertainty == Uncertainty(score_model_std=0.0, map_disagreement=0.0)
    assert np.allclose(together.density, alone.density, rtol=1e-6)
    assert together.score == pytest.approx(alone.score, abs=1e-6)
    assert together.score_std == pytest.approx(alone.score_std, abs=1e-6)
    assert together.image_size == alone.image_size
    assert together.attributes == alone.attributes


def test_it_says_the_members_mean(members):
    photo = photos()[0]
    alone = [member.predict(photo) for member in members]
    together = Ensemble(members).predict(photo)
    mean = np.mean([p.network_density for p in alone], axis=0)
    assert np.allclose(together.network_density, mean, atol=1e-9)
    assert together.network_density.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    assert together.score == pytest.approx(np.mean([p.score for p in alone]), abs=1e-5)
    assert together.score == pytest.approx(together.score_distribution @ SCORES, abs=1e-5)
    assert together.uncertainty.score_model_std == pytest.approx(np.std([p.score for p in alone]))
    mood, kind = together.attributes
    assert mood.value == pytest.approx(np.mean([p.attributes[0].value for p in alone]))
    assert sum(kind.probabilities.values()) == pytest.approx(1)
    assert kind.probabilities[kind.label] == max(kind.probabilities.values())


def test_different_members_disagree(members):
    found = Ensemble(members).predict(photos()[0]).uncertainty
    assert found.score_model_std > 0.01
    assert 0.001 < found.map_disagreement < 1
    assert found.score_error_std is None
    assert found.score_total_std == found.score_model_std


@pytest.mark.parametrize("batch_size", [None, 1, 8])
def test_many_photos_are_told_what_each_is_told(members, batch_size):
    ensemble = Ensemble(members)
    given = [*photos(), *photos()]
    found = list(ensemble.predict_many(iter(given), batch_size))
    assert [p.image_size for p in found] == [p.shape[:2] for p in given]
    for prediction, photo in zip(found, given, strict=True):
        expected = ensemble.predict(photo)
        assert prediction.score == pytest.approx(expected.score, abs=1e-4)
        assert prediction.uncertainty.map_disagreement == pytest.approx(
            expected.uncertainty.map_disagreement, abs=1e-4
        )


def test_members_of_other_sizes_count_at_the_firsts():
    def says(density):
        return Prediction((8, 8), density.astype(np.float32) / density.sum(), None, None, None)

    together = combine([says(np.ones((4, 4))), says(np.ones((8, 8)))])
    assert together.network_density.shape == (4, 4)
    assert together.uncertainty.map_disagreement == pytest.approx(0, abs=1e-9)
    assert together.score is None


def test_stated_errors_are_averaged_as_squares():
    def says(value, std):
        estimate = AttributeEstimate("mood", value, std)
        votes = np.full(10, 0.1, np.float32)
        stated = Uncertainty(score_error_std=std)
        return Prediction((8, 8), None, 5.5, 2.9, votes, (estimate,), stated)

    together = combine([says(0.0, 3.0), says(2.0, 4.0)])
    assert together.uncertainty.score_error_std == pytest.approx(12.5**0.5)
    assert together.attributes[0].std == pytest.approx((12.5 + 1) ** 0.5)  # the values differ too


def test_the_two_reasons_add_up_as_squares():
    assert Uncertainty(0.3, 0.4).score_total_std == pytest.approx(0.5)
    assert Uncertainty(map_disagreement=0.2).score_total_std is None


class TestMapDisagreement:
    def test_equal_maps_agree_also_where_they_are_flat(self):
        flat = np.full((3, 4), 1 / 12)
        assert map_disagreement([flat, flat]) == 0

    @pytest.mark.parametrize("count", [2, 3, 5])
    def test_maps_with_nothing_in_common_disagree_wholly(self, count):
        points = np.eye(count * 2)[:count].reshape(count, 2, count)
        assert map_disagreement(list(points)) == pytest.approx(1)

    def test_half_in_common_by_hand(self):
        one, other = np.array([[0.5, 0.5, 0]]), np.array([[0, 0.5, 0.5]])
        assert map_disagreement([one, other]) == pytest.approx(0.5)

    def test_the_order_does_not_matter(self):
        random = np.random.default_rng(0)
        maps = random.random((3, 4, 5))
        maps /= maps.sum(axis=(1, 2), keepdims=True)
        assert map_disagreement(list(maps)) == pytest.approx(map_disagreement(list(maps[::-1])))


def test_a_lone_member_is_refused(members):
    with pytest.raises(ConfigError, match=r"at least two members. Found 1"):
        Ensemble(members[:1])


def test_members_that_tell_of_other_things_are_refused(members):
    other = predictor(0, replace(ARCHITECTURE, attributes=()))
    with pytest.raises(ConfigError, match=r"mood \(1 to 7\), kind \(a, b\) by the first and"):
        Ensemble([members[0], other])


@pytest.mark.parametrize(
    "attributes",
    [
        (Attribute("mood", 0, 1), Attribute("kind", classes=("a", "b"))),
        (Attribute("mood", 1, 7), Attribute("kind", classes=("a", "c"))),
    ],
)
def test_members_with_other_scales_or_classes_are_refused(members, attributes):
    other = predictor(0, replace(ARCHITECTURE, attributes=attributes))
    with pytest.raises(ConfigError, match=r"predict the same things"):
        Ensemble([members[0], other])


def test_an_attributes_error_is_told_if_all_members_state_one():
    def say(std):
        told = (AttributeEstimate("mood", 4.0, std),)
        return Prediction((4, 6), None, None, None, None, told)

    assert combine([say(0.5), say(0.5)]).attributes[0].std == pytest.approx(0.5)
    assert combine([say(0.5), say(None)]).attributes[0].std is None


def test_it_is_loaded_from_checkpoints(tmp_path, tiny_weights):
    torch.manual_seed(5)
    network = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16))
    preprocessing = Preprocessing(32, 64, network.encoder.mean, network.encoder.std)
    save_checkpoint(tmp_path / "other", Checkpoint(network, preprocessing, Card()))
    ensemble = Ensemble.load([tiny_weights, tmp_path / "other"], device="cpu", backend="torch")
    prediction = ensemble.predict(photos()[0])
    assert prediction.density.shape == (60, 90)
    assert prediction.uncertainty.map_disagreement > 0


def test_evaluation_takes_it_as_a_predictor(members):
    from saliency.datasets import DrawnDataset

    measures = evaluate(Ensemble(members), DrawnDataset(8, 3, rated=True), full=False).measures
    assert {"SRCC", "model rank", "in 1 std", "in 2 std"} <= measures.keys()
    assert "error rank" not in measures
