"""Labels by a teacher, and shuffled ratings."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from saliency.attributes import Attribute
from saliency.checkpoint import Card, Checkpoint, save_checkpoint
from saliency.datasets import DrawnDataset
from saliency.errors import CheckpointError, ConfigError
from saliency.metrics import cc
from saliency.model import Architecture, SaliencyNetwork
from saliency.predictor import Predictor
from saliency.preprocessing import Preprocessing
from saliency.training.teaching import ShuffledRatings, TaughtDataset
from saliency.types import SCORES, Sample

CPU = torch.device("cpu")


class RatedOnly:
    """Drawn rated images without their fixations, as photos with ratings have none."""

    def __init__(self, count: int = 6) -> None:
        self._drawn = DrawnDataset(count, 0, rated=True)
        self.name, self.ids = self._drawn.name, self._drawn.ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        drawn = self._drawn[index]
        return Sample(
            drawn.image, self.name, drawn.image_id, score_distribution=drawn.score_distribution
        )


class MirroredRatedOnly(RatedOnly):
    """The same photos, mirrored."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return replace(sample, image=np.ascontiguousarray(sample.image[:, ::-1]))


@pytest.fixture
def scoreless_weights(tmp_path):
    """A checkpoint without an aesthetic head."""
    return _save(tmp_path / "saliency.safetensors", aesthetics=False, seed=0)


def _save(path, *, seed, aesthetics=True, saliency=True):
    torch.manual_seed(seed)
    architecture = Architecture(
        "test_efficientnet",
        decoder_channels=16,
        aesthetics=aesthetics,
        saliency=saliency,
        guidance=aesthetics and saliency,
    )
    network = SaliencyNetwork(architecture)
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    save_checkpoint(path, Checkpoint(network, preprocessing, Card()))
    return path


@pytest.fixture
def other_weights(tmp_path):
    """A second teacher, which says other things than `tiny_weights`."""
    return _save(tmp_path / "other.safetensors", aesthetics=True, seed=7)


def mean_density(image, *teachers):
    """What `teachers` say of a photo and, mirrored back, of its mirror image."""
    found = []
    for path in teachers:
        teacher = Predictor.load(path, "cpu", backend="torch")
        found.append(teacher.predict(image).density)
        found.append(teacher.predict(np.ascontiguousarray(image[:, ::-1])).density[:, ::-1])
    return np.mean(found, axis=0)


def test_rated_images_get_the_teachers_density(tiny_weights):
    sample = TaughtDataset(RatedOnly(), [tiny_weights], CPU)[2]
    assert sample.density.shape == sample.image.shape[:2]
    assert sample.density.sum() == pytest.approx(1, abs=1e-4)
    assert cc(sample.density, mean_density(sample.image, tiny_weights)) > 0.999


def test_several_teachers_give_their_mean(tiny_weights, other_weights):
    sample = TaughtDataset(RatedOnly(), [tiny_weights, other_weights], CPU)[2]
    assert cc(sample.density, mean_density(sample.image, tiny_weights, other_weights)) > 0.999
    assert cc(sample.density, mean_density(sample.image, tiny_weights)) < 0.99


def test_a_mirrored_image_is_taught_the_mirrored_density(tiny_weights):
    taught = TaughtDataset(RatedOnly(), [tiny_weights], CPU)[2]
    mirrored = TaughtDataset(MirroredRatedOnly(), [tiny_weights], CPU)[2]
    assert cc(mirrored.density[:, ::-1], taught.density) > 0.9999


def test_a_density_that_is_there_takes_a_share_of_the_teachers(tiny_weights):
    drawn = DrawnDataset(4, 0)
    sample = TaughtDataset(drawn, [tiny_weights], CPU, share=0.3)[1]
    expected = 0.7 * drawn[1].density + 0.3 * mean_density(sample.image, tiny_weights)
    np.testing.assert_allclose(sample.density, expected, atol=0.01 * expected.max())
    assert np.abs(sample.density - drawn[1].density).max() > 0.05 * expected.max()
    assert sample.score_distribution is None


def test_rated_images_keep_their_own_ratings(tiny_weights):
    rated = RatedOnly()
    taught = TaughtDataset(rated, [tiny_weights], CPU)
    np.testing.assert_array_equal(taught[2].score_distribution, rated[2].score_distribution)
    assert not taught[2].score_is_taught


def test_images_with_fixations_get_the_teachers_score(tiny_weights):
    taught = TaughtDataset(DrawnDataset(4, 0), [tiny_weights], CPU)
    teacher = Predictor.load(tiny_weights, "cpu", backend="torch")
    both = [taught[1].image, np.ascontiguousarray(taught[1].image[:, ::-1])]
    expected = np.mean([teacher.predict(image).score_distribution for image in both], axis=0)
    np.testing.assert_allclose(taught[1].score_distribution, expected, atol=1e-5)
    assert taught[1].score_is_taught


def test_what_teachers_said_is_kept_for_the_next_start(tiny_weights, tmp_path, monkeypatch):
    kept = tmp_path / "taught.safetensors"
    first = TaughtDataset(RatedOnly(), [tiny_weights], CPU, kept_in=kept)[2]
    monkeypatch.setattr(Predictor, "predict_many", None)  # no teacher is asked
    again = TaughtDataset(RatedOnly(), [tiny_weights], CPU, kept_in=kept)[2]
    np.testing.assert_array_equal(again.density, first.density)


def test_what_other_teachers_said_is_not_used(tiny_weights, other_weights, tmp_path):
    kept = tmp_path / "taught.safetensors"
    TaughtDataset(RatedOnly(), [tiny_weights], CPU, kept_in=kept)
    sample = TaughtDataset(RatedOnly(), [other_weights], CPU, kept_in=kept)[2]
    assert cc(sample.density, mean_density(sample.image, other_weights)) > 0.999


def test_an_absent_teacher_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="absent"):
        TaughtDataset(
            RatedOnly(), [tmp_path / "absent.safetensors"], CPU, kept_in=tmp_path / "taught"
        )


def test_a_damaged_file_of_what_teachers_said_is_written_anew(tiny_weights, tmp_path):
    kept = tmp_path / "taught.safetensors"
    kept.write_bytes(b"no safetensors")
    TaughtDataset(RatedOnly(), [tiny_weights], CPU, kept_in=kept)
    assert kept.stat().st_size > 1000


def test_a_teacher_without_the_head_is_refused(scoreless_weights):
    with pytest.raises(ConfigError, match="a head for the labels that it lacks"):
        TaughtDataset(DrawnDataset(4, 0), [scoreless_weights], CPU)


def test_a_share_of_a_teacher_without_densities_is_refused(tmp_path):
    weights = _save(tmp_path / "scores.safetensors", saliency=False, seed=0)
    with pytest.raises(ConfigError, match="should have a head"):
        TaughtDataset(DrawnDataset(4, 0), [weights], CPU, share=0.3)


def test_shuffled_ratings_are_the_same_ratings_of_other_images():
    rated = RatedOnly(30)
    shuffled = ShuffledRatings(rated, 0)

    def scores(dataset):
        return [float(dataset[i].score_distribution @ SCORES) for i in range(len(dataset))]

    assert scores(shuffled) != scores(rated)
    assert sorted(scores(shuffled)) == sorted(scores(rated))


def test_another_seed_shuffles_otherwise():
    rated = RatedOnly(30)
    first, second = (ShuffledRatings(rated, seed)[0].score_distribution for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_attributes_change_places_with_the_ratings():
    attributes = {"saturation": Attribute("saturation")}
    rated = DrawnDataset(12, 0, rated=True, attributes=attributes)
    shuffled = ShuffledRatings(rated, seed=0)
    own = {rated[i].attributes: rated[i].score_distribution.tobytes() for i in range(12)}
    for index in range(12):
        sample = shuffled[index]
        assert own[sample.attributes] == sample.score_distribution.tobytes()
    assert [shuffled[i].attributes for i in range(12)] != [rated[i].attributes for i in range(12)]
