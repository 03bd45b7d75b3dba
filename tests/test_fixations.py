"""Fixations land in the pixel that holds them, and become a density."""

import numpy as np
import pytest

from saliency.fixations import SIGMA_SHARE, to_density, to_fixation_map
from saliency.types import Fixations

SIZE = (30, 40)


def fixations(*points: tuple[float, float]) -> Fixations:
    """Return points given as (x, y)."""
    xs, ys = np.array(points, np.float32).reshape(-1, 2).T
    return Fixations(xs, ys)


def test_x_is_the_column_and_y_the_row():
    assert to_fixation_map(fixations((35, 2)), SIZE)[2, 35] == 1


def test_a_point_belongs_to_the_pixel_that_holds_it():
    assert to_fixation_map(fixations((7.99, 2.99)), SIZE)[2, 7] == 1


def test_repeats_count():
    assert to_fixation_map(fixations((3, 4), (3.5, 4.5), (3, 4)), SIZE)[4, 3] == 3


@pytest.mark.parametrize("corner", [(0, 0), (39.9, 0), (0, 29.9), (39.9, 29.9)])
def test_corners_are_inside(corner):
    assert to_fixation_map(fixations(corner), SIZE).sum() == 1


@pytest.mark.parametrize(
    "point", [(-0.5, 5), (5, -0.5), (40, 5), (5, 30), (35, 31), (1e12, 5), (np.nan, 5), (5, np.inf)]
)
def test_points_outside_are_dropped(point):
    assert to_fixation_map(fixations(point, (1, 1)), SIZE).sum() == 1


def test_no_points_are_an_empty_map():
    assert not to_fixation_map(fixations(), SIZE).any()


def test_a_density_sums_to_1():
    density = to_density(fixations((0, 0), (20, 10), (39, 29)), SIZE)
    assert density.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_a_density_is_not_negative():
    assert (to_density(fixations((0, 0), (20, 10)), SIZE) >= 0).all()


def test_a_density_peaks_where_people_looked():
    density = to_density(fixations((33, 4)), SIZE)
    assert np.unravel_index(density.argmax(), SIZE) == (4, 33)


@pytest.mark.parametrize("point", [(), (-1, 5)])
def test_nobody_inside_the_frame_is_no_density(point):
    assert to_density(fixations(*([point] if point else [])), SIZE) is None


@pytest.mark.parametrize("size", [(200, 300), (300, 200)])
def test_the_blur_goes_by_the_longer_side(size):
    centre = fixations((size[1] // 2, size[0] // 2))
    np.testing.assert_array_equal(
        to_density(centre, size), to_density(centre, size, sigma_px=SIGMA_SHARE * 300)
    )


def test_the_blur_has_the_asked_width():
    density = to_density(fixations((100, 100)), (201, 201), sigma_px=8.0)
    offsets = np.arange(201) - 100
    assert np.sqrt(density.sum(axis=0) @ offsets**2) == pytest.approx(8, rel=0.02)


def test_a_photo_of_one_pixel_has_a_density():
    assert to_density(fixations((0, 0)), (1, 1)).tolist() == [[1]]
