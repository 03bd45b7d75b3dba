import numpy as np
import pytest
from skimage.data import coffee

from saliency.change_rendering import GAP_PX, to_change_overlay, to_change_picture

GREY = np.full((60, 80, 3), 128, np.uint8)


def corner(row, column, size=(60, 80)):
    """Attention in one quarter of the picture."""
    density = np.zeros(size, np.float32)
    height, width = size[0] // 2, size[1] // 2
    density[row * height : (row + 1) * height, column * width : (column + 1) * width] = 1
    return density / density.sum()


def test_what_gained_is_orange_and_what_lost_is_blue():
    picture = to_change_overlay(GREY, corner(0, 0), corner(1, 1)).astype(int)
    red, _, blue = np.moveaxis(picture, 2, 0)
    assert (red[31:, 41:] > blue[31:, 41:] + 50).all()
    assert (blue[:29, :39] > red[:29, :39] + 50).all()


def test_where_nothing_changed_there_is_no_colour():
    picture = to_change_overlay(coffee(), corner(0, 0), corner(0, 0))
    assert (picture.max(axis=2) == picture.min(axis=2)).all()


def test_a_small_change_is_fainter_than_a_great_one():
    some = corner(0, 0) * 0.9 + corner(1, 1) * 0.1
    small, great = (to_change_overlay(GREY, corner(0, 0), d) for d in (some, corner(1, 1)))
    colour = [float(np.ptp(picture[40:, 60:], axis=2).mean()) for picture in (small, great)]
    assert 0 < colour[0] < colour[1] / 2


def test_versions_of_other_sizes_are_compared_by_place():
    picture = to_change_overlay(GREY, corner(0, 1, (600, 200)), corner(0, 1))
    assert (picture.max(axis=2) == picture.min(axis=2)).mean() > 0.95


@pytest.mark.parametrize(
    ("first", "second", "height"),
    [((60, 80), (60, 80), 60), ((60, 80), (90, 30), 60), ((2000, 1000), (1500, 3000), 720)],
)
def test_three_panels_have_one_height_and_their_own_proportions(first, second, height):
    images = [np.zeros((*size, 3), np.uint8) for size in (first, second)]
    densities = [np.ones(size, np.float32) / (size[0] * size[1]) for size in (first, second)]
    picture = to_change_picture(*images, *densities)
    widths = [round(size[1] * height / size[0]) for size in (first, second, second)]
    assert picture.shape == (height, sum(widths) + 2 * GAP_PX, 3)


def test_a_version_against_itself_shows_its_overlay_twice():
    picture = to_change_picture(coffee(), coffee(), *[corner(0, 1, (400, 600))] * 2)
    np.testing.assert_array_equal(picture[:, :600], picture[:, 600 + GAP_PX : 1200 + GAP_PX])
