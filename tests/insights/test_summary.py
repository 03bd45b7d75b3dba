"""Blobs of known place and mass are found; entropy and concentration have their known ends."""

import cv2
import numpy as np
import pytest

from saliency.errors import InsightError
from saliency.insights import summarize

SIZES = [(1, 1), (1, 2), (1, 500), (500, 1), (33, 31), (480, 640), (2000, 3001)]
TWO = ((160, 120, 30, 0.7), (480, 360, 30, 0.3))


def even(size):
    return np.full(size, 1 / (size[0] * size[1]), np.float32)


def test_two_blobs_are_two_points(draw_blobs):
    assert len(summarize(draw_blobs((480, 640), *TWO)).focal_points) == 2


def test_points_lie_on_the_blobs(draw_blobs):
    places = [(p.x, p.y) for p in summarize(draw_blobs((480, 640), *TWO)).focal_points]
    np.testing.assert_allclose(places, [(160, 120), (480, 360)], atol=2)


def test_shares_are_the_blobs_masses(draw_blobs):
    shares = [p.share for p in summarize(draw_blobs((480, 640), *TWO)).focal_points]
    assert shares == pytest.approx([0.7, 0.3], abs=0.005)


def test_points_come_by_share_not_by_height(draw_blobs):
    density = draw_blobs((480, 640), (160, 120, 15, 0.4), (460, 300, 60, 0.6))
    assert density[120, 160] > density[300, 460]
    assert summarize(density).focal_points[0].x == pytest.approx(460, abs=3)


def test_points_scale_with_the_photo(draw_blobs):
    small = summarize(draw_blobs((480, 640), *TWO)).focal_points
    four_times = [tuple(4 * value for value in blob[:3]) + blob[3:] for blob in TWO]
    large = summarize(draw_blobs((1920, 2560), *four_times)).focal_points
    np.testing.assert_allclose(
        [(p.x / 4, p.y / 4, p.share) for p in large],
        [(p.x, p.y, p.share) for p in small],
        atol=0.5,
    )


def test_a_photo_of_an_odd_size_has_the_same_points(draw_blobs):
    density = draw_blobs((1201, 1601), (400, 300, 60, 0.7), (1200, 900, 60, 0.3))
    places = [(p.x, p.y) for p in summarize(density).focal_points]
    np.testing.assert_allclose(places, [(400, 300), (1200, 900)], atol=5)


def test_a_faint_blob_is_not_mentioned(draw_blobs):
    density = draw_blobs((480, 640), (160, 120, 30, 0.98), (480, 360, 30, 0.02))
    assert len(summarize(density).focal_points) == 1


def test_a_ripple_on_a_hill_is_no_point_and_counts_for_the_hill(draw_blobs):
    hill = (320, 240, 60, 1.0)
    ripples = [(320 + 60 * dx, 240 + 60 * dy, 12, 0.01) for dx, dy in ((1, 0), (-1, 0), (0, 1))]
    points = summarize(draw_blobs((480, 640), hill, *ripples)).focal_points
    assert [p.share for p in points] == pytest.approx([1.0])


@pytest.mark.parametrize("most", [1, 2, 3])
def test_at_most_so_many_points_are_named(draw_blobs, most):
    blobs = [(100 + 200 * i, 240, 25, 1 / (i + 2)) for i in range(3)]
    points = summarize(draw_blobs((480, 640), *blobs), max_points=most).focal_points
    assert [round(p.x / 200 - 0.5) for p in points] == list(range(most))


def test_fewer_than_one_point_is_refused():
    with pytest.raises(InsightError, match=r"`max_points` should be at least 1. Found 0"):
        summarize(even((4, 4)), max_points=0)


@pytest.mark.parametrize("size", [(40, 60), (480, 640), (960, 1280)])
def test_a_flat_hill_has_its_point_in_the_middle(size):
    density = np.zeros(size, np.float32)
    density[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
    (point,) = summarize(density).focal_points
    place = point.x / size[1], point.y / size[0]
    assert place == pytest.approx((0.375, 0.375), abs=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_an_even_density_has_no_point(size):
    assert summarize(even(size)).focal_points == ()


@pytest.mark.parametrize("size", SIZES)
def test_an_even_density_has_entropy_1(size):
    assert summarize(even(size)).entropy == pytest.approx(1)


@pytest.mark.parametrize("size", SIZES)
def test_an_even_density_has_concentration_a_tenth(size):
    assert summarize(even(size)).concentration == pytest.approx(0.1)


@pytest.mark.parametrize("size", SIZES)
def test_an_even_density_has_its_centre_in_the_middle(size):
    center = summarize(even(size)).center_of_mass
    assert center == pytest.approx((size[1] / 2, size[0] / 2))


def test_one_pixel_with_everything_has_entropy_0(delta):
    assert summarize(delta((480, 640), 100, 50)).entropy == 0


def test_one_pixel_with_everything_has_concentration_1(delta):
    assert summarize(delta((480, 640), 100, 50)).concentration == 1


@pytest.mark.parametrize(("row", "column"), [(100, 50), (0, 0), (479, 639)])
def test_one_pixel_with_everything_is_the_only_point(delta, row, column):
    (point,) = summarize(delta((480, 640), row, column)).focal_points
    assert point.share == pytest.approx(1)
    assert (point.x, point.y) == pytest.approx((column + 0.5, row + 0.5), abs=7)


def test_half_the_photo_has_the_entropy_of_half_the_cells():
    density = np.zeros((320, 320), np.float32)
    density[:160] = 1
    assert summarize(density).entropy == pytest.approx(np.log(512) / np.log(1024))


def test_half_the_photo_has_concentration_a_fifth():
    density = np.zeros((320, 320), np.float32)
    density[:160] = 1
    assert summarize(density).concentration == pytest.approx(0.2)


def test_the_order_counts_points_by_share(draw_blobs):
    blobs = [(100 + 200 * i, 240, 25, (i + 1) / 6) for i in range(3)]
    points = summarize(draw_blobs((480, 640), *blobs)).focal_points
    assert [(p.rank, round(p.x / 100)) for p in points] == [(1, 5), (2, 3), (3, 1)]


@pytest.mark.parametrize(
    ("x", "y", "distance"),
    [
        (1 / 3, 1 / 3, 0),
        (2 / 3, 1 / 3, 0),
        (2 / 3, 2 / 3, 0),
        (1 / 2, 1 / 2, 2**0.5 / 6),
        (1 / 2, 1 / 3, 1 / 6),
        (1 / 3, 1 / 2, 1 / 6),
    ],
)
@pytest.mark.parametrize("size", [(480, 640), (600, 300)])
def test_the_distance_to_thirds_is_that_of_the_first_point(draw_blobs, size, x, y, distance):
    height, width = size
    summary = summarize(draw_blobs(size, (x * width, y * height, 20, 1.0)))
    assert summary.thirds_distance == pytest.approx(distance, abs=0.01)


def test_a_second_point_does_not_change_the_distance_to_thirds(draw_blobs):
    one = draw_blobs((480, 640), (320, 240, 20, 1.0))
    two = draw_blobs((480, 640), (320, 240, 20, 0.7), (590, 450, 20, 0.3))
    assert summarize(two).thirds_distance == pytest.approx(summarize(one).thirds_distance, abs=0.01)


def test_without_a_point_there_is_no_distance_to_thirds():
    assert summarize(even((480, 640))).thirds_distance is None


@pytest.mark.parametrize("size", SIZES)
def test_an_even_density_is_balanced(size):
    assert summarize(even(size)).left_right_balance == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("column", "balance"), [(0, -1), (639, 1), (319, -1), (320, 1)])
def test_one_pixel_with_everything_is_left_or_right(delta, column, balance):
    summary = summarize(delta((480, 640), 100, column))
    assert summary.left_right_balance == pytest.approx(balance)


def test_the_middle_column_of_an_odd_width_counts_for_both_sides(delta):
    assert summarize(delta((5, 7), 2, 3)).left_right_balance == pytest.approx(0)


def test_the_balance_is_the_difference_of_the_blobs_masses(draw_blobs):
    balance = summarize(draw_blobs((480, 640), *TWO)).left_right_balance
    assert balance == pytest.approx(0.3 - 0.7, abs=0.001)


def test_the_centre_of_mass_lies_between_two_blobs(draw_blobs):
    center = summarize(draw_blobs((480, 640), *TWO)).center_of_mass
    assert center == pytest.approx((0.7 * 160 + 0.3 * 480, 0.7 * 120 + 0.3 * 360), abs=0.5)


@pytest.mark.parametrize("size", [(960, 1280), (2400, 3200), (1111, 1481)])
def test_the_numbers_do_not_depend_on_the_photos_size(draw_blobs, size):
    density = draw_blobs((480, 640), *TWO)
    small = summarize(density)
    large = summarize(cv2.resize(density, size[::-1], interpolation=cv2.INTER_LINEAR))
    assert large.entropy == pytest.approx(small.entropy, abs=0.003)
    assert large.concentration == pytest.approx(small.concentration, abs=0.003)


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_density_gives_the_same_answer_twice(seed):
    density = np.random.default_rng(seed).random((200, 300), dtype=np.float32) ** 20
    assert summarize(density) == summarize(density.copy())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(1, 300), (200, 2), (7, 5), (900, 1300)])
def test_points_of_noise_are_inside_ordered_and_share_at_most_1(size, seed):
    density = np.random.default_rng(seed).random(size, dtype=np.float32) ** 20
    points = summarize(density, max_points=100).focal_points
    assert all(0 < p.x < size[1] and 0 < p.y < size[0] for p in points)
    shares = [p.share for p in points]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-9
