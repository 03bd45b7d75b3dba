"""Densities sum to 1 at every size."""

import numpy as np
import pytest

from saliency.densities import normalize_density, resize_density
from saliency.types import Prediction

DENSITY = normalize_density(np.random.default_rng(0).random((6, 8), np.float32))


@pytest.mark.parametrize("size", [(12, 16), (3, 4), (1, 1), (1, 40), (60, 2), (6, 8)])
def test_a_resized_density_sums_to_1(size):
    resized = resize_density(DENSITY, size)
    assert resized.shape == size
    assert resized.dtype == np.float32
    assert resized.sum() == pytest.approx(1, abs=1e-5)


def test_a_shrunk_density_is_averaged():
    halved = resize_density(DENSITY, (3, 4))
    np.testing.assert_allclose(halved, DENSITY.reshape(3, 2, 4, 2).sum(axis=(1, 3)), rtol=1e-5)


def test_a_density_of_the_right_size_is_not_copied():
    assert resize_density(DENSITY, DENSITY.shape) is DENSITY


def test_values_are_scaled_to_sum_1():
    assert normalize_density(np.array([[1.0, 3.0]])).tolist() == [[0.25, 0.75]]


def test_zeros_become_the_uniform_density():
    assert normalize_density(np.zeros((2, 4))).tolist() == [[0.125] * 4] * 2


def test_the_sum_of_many_pixels_is_exact():
    density = normalize_density(np.full((3000, 4000), 0.1, np.float32))
    assert density.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)


def predict(size: tuple[int, int]) -> Prediction:
    return Prediction(size, DENSITY, 5.0, 1.0, None)


def test_a_prediction_has_the_density_at_the_photos_size():
    density = predict((60, 80)).density
    np.testing.assert_array_equal(density, resize_density(DENSITY, (60, 80)))


def test_the_density_is_computed_once():
    prediction = predict((60, 80))
    assert prediction.density is prediction.density


@pytest.mark.parametrize(
    ("max_side_px", "size"), [(40, (30, 40)), (80, (60, 80)), (200, (60, 80)), (None, (60, 80))]
)
def test_a_density_within_a_side_has_the_photos_shape(max_side_px, size):
    assert predict((60, 80)).density_within(max_side_px).shape == size


def test_without_a_saliency_head_there_is_no_density():
    prediction = Prediction((60, 80), None, 5.0, 1.0, None)
    assert prediction.density is None
    assert prediction.density_within(40) is None
