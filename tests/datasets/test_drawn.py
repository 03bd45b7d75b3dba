import numpy as np
import pytest

from saliency.datasets import DrawnDataset
from saliency.types import SCORES


def test_an_image_is_the_same_whenever_it_is_drawn():
    first, second = DrawnDataset(5, seed=1), DrawnDataset(5, seed=1)
    first[0]
    assert np.array_equal(first[3].image, second[3].image)
    assert np.array_equal(first[3].density, second[3].density)


def test_images_and_seeds_differ():
    drawn = DrawnDataset(2, seed=1)
    assert not np.array_equal(drawn[0].image, drawn[1].image)
    assert not np.array_equal(drawn[0].image, DrawnDataset(2, seed=2)[0].image)


def test_only_rated_sets_have_ratings():
    assert DrawnDataset(1, seed=0)[0].score_distribution is None
    sample = DrawnDataset(1, seed=0, rated=True)[0]
    assert sample.score_distribution.sum() == pytest.approx(1)


def test_colourful_grounds_are_rated_higher():
    samples = list(DrawnDataset(40, seed=0, rated=True))
    chroma = [np.median(np.ptp(sample.image.astype(int), axis=2)) for sample in samples]
    scores = [sample.score_distribution @ SCORES for sample in samples]
    assert np.corrcoef(chroma, scores)[0, 1] > 0.9


def test_what_stands_out_predicts_fixations_better_than_the_centre_bias():
    samples = list(DrawnDataset(40, seed=0))
    center_bias = np.mean([sample.density for sample in samples], axis=0)

    def correlate(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    by_center = np.mean([correlate(center_bias, sample.density) for sample in samples])
    glow = [sample.image.max(axis=2) == 255 for sample in samples]
    by_glow = np.mean([correlate(g, s.density) for g, s in zip(glow, samples, strict=True)])
    assert by_center < 0.4
    assert by_glow > by_center + 0.2


def test_fixations_lie_in_the_frame_of_any_size():
    sample = DrawnDataset(1, seed=0, size=(64, 48))[0]
    assert sample.image.shape == (64, 48, 3)
    assert sample.fixations.xs.max() < 48
    assert sample.fixations.ys.max() < 64


def test_a_set_can_be_iterated_to_its_end():
    assert len(list(DrawnDataset(3, seed=0))) == 3
