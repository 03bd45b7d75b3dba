"""Shares of known densities equal those computed from areas and masses."""

import numpy as np
import pytest

from saliency.errors import InsightError
from saliency.insights import Box, Point, measure_regions

EVEN = np.full((50, 80), 1 / 4000, np.float32)


def measure(density, box):
    (region,) = measure_regions(density, [box])
    return region


@pytest.mark.parametrize(
    "box", [Box(0, 0, 80, 50), Box(10, 20, 30, 15), Box(0.25, 0.5, 0.5, 0.125), Box(79.5, 0, 1, 9)]
)
def test_on_an_even_density_the_share_is_that_of_the_area(box):
    region = measure(EVEN, box)
    assert region.share == pytest.approx(region.box.area / 4000)
    assert region.share_per_area == pytest.approx(1)


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (480, 641)])
def test_the_whole_photo_has_everything(size):
    density = np.random.default_rng(0).random(size, dtype=np.float32)
    region = measure(density, Box(0, 0, size[1], size[0]))
    assert (region.share, region.share_per_area, region.peak) == pytest.approx((1, 1, 1))


def test_a_cut_pixel_counts_by_what_is_covered(delta):
    assert measure(delta((5, 5), 2, 3), Box(0, 2.25, 3.5, 10)).share == pytest.approx(0.5 * 0.75)


def test_any_box_has_the_sum_of_its_pixels():
    random = np.random.default_rng(0)
    density = random.random((333, 444), dtype=np.float32) ** 4
    density /= density.sum()
    corners = random.integers(0, (300, 400), (50, 2))
    sizes = random.integers(1, 200, (50, 2))
    boxes = [Box(x, y, w, h) for (y, x), (h, w) in zip(corners, sizes, strict=True)]
    expected = [
        density[y : y + h, x : x + w].sum() for (y, x), (h, w) in zip(corners, sizes, strict=True)
    ]
    assert [r.share for r in measure_regions(density, boxes)] == pytest.approx(expected, rel=1e-4)


def test_a_blob_gives_its_box_its_mass(draw_blobs):
    density = draw_blobs((480, 640), (160, 120, 20, 0.7), (480, 360, 20, 0.3))
    assert measure(density, Box(360, 240, 240, 240)).share == pytest.approx(0.3, abs=1e-4)


def test_what_lies_outside_the_photo_is_cut_off():
    region = measure(EVEN, Box(-10, -10, 50, 35))
    assert region.box == Box(0, 0, 40, 25)
    assert region.share == pytest.approx(0.25)


def test_a_box_wholly_outside_is_named():
    with pytest.raises(InsightError, match=r"`box` should overlap the photo.*Found 80,0,10,10"):
        measure_regions(EVEN, [Box(0, 0, 5, 5), Box(80, 0, 10, 10)])


@pytest.mark.parametrize(("row", "column"), [(0, 0), (63, 64), (199, 299), (130, 10)])
def test_the_peak_is_found_at_the_centre_of_its_pixel(delta, row, column):
    region = measure(delta((200, 300), row, column), Box(0, 0, 300, 200))
    assert (region.peak, region.peak_at) == (1, Point(column + 0.5, row + 0.5))


@pytest.mark.parametrize("seed", range(20))
def test_the_peak_of_any_box_is_that_of_its_pixels(seed):
    random = np.random.default_rng(seed)
    density = random.random((333, 444), dtype=np.float32)
    x, y, width, height = random.random(4) * (400, 300, 300, 300)
    box = Box(x, y, width + 0.1, height + 0.1).cut_to((333, 444))
    inside = density[box.pixels]
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    region = measure(density, box)
    assert region.peak == pytest.approx(inside.max() / density.max())
    assert region.peak_at == (box.pixels[1].start + column + 0.5, box.pixels[0].start + row + 0.5)


def test_results_come_in_the_order_asked(draw_blobs):
    density = draw_blobs((100, 100), (25, 25, 5, 0.2), (75, 75, 5, 0.8))
    boxes = [Box(0, 0, 50, 50), Box(50, 50, 50, 50), Box(50, 0, 50, 50)]
    regions = measure_regions(density, boxes)
    assert [r.box for r in regions] == boxes
    assert [r.rank for r in regions] == [2, 1, 3]


def test_equal_shares_have_equal_ranks():
    boxes = [Box(0, 0, 10, 10), Box(0, 0, 20, 10), Box(40.3, 7, 20, 10), Box(0, 0, 80, 50)]
    assert [r.rank for r in measure_regions(EVEN, boxes)] == [4, 2, 2, 1]


def test_rounding_breaks_no_tie():
    boxes = [Box(i * 0.37, i * 0.29, 20, 10) for i in range(50)]
    assert {r.rank for r in measure_regions(EVEN, boxes)} == {1}


def test_no_box_is_no_result():
    assert measure_regions(EVEN, []) == []
