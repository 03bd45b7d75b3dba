import numpy as np
import pytest
from skimage.data import coffee

from saliency.change_rendering import GAP_PX, to_change_overlay, to_change_picture
from saliency.insights import Region

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


TITLES = "A", "B", "B - A"


@pytest.mark.parametrize(
    ("first", "second", "height", "text_px"),
    [
        ((60, 80), (60, 80), 60, 11),
        ((60, 80), (90, 30), 60, 11),
        ((2000, 1000), (1500, 3000), 720, 16),
    ],
)
def test_three_panels_have_one_height_and_their_own_proportions(first, second, height, text_px):
    images = tuple(np.zeros((*size, 3), np.uint8) for size in (first, second))
    densities = tuple(np.ones(size, np.float32) / (size[0] * size[1]) for size in (first, second))
    picture = to_change_picture(images, densities, TITLES)
    widths = [round(size[1] * height / size[0]) for size in (first, second, second)]
    lines = 2 * 2 * text_px  # the title and the scale
    assert picture.shape == (height + lines, sum(widths) + 2 * GAP_PX, 3)


def test_a_version_against_itself_shows_its_overlay_twice():
    twice = (coffee(),) * 2, (corner(0, 1, (400, 600)),) * 2
    picture = to_change_picture(*twice, ("same", "same", ""))
    np.testing.assert_array_equal(picture[:, :600], picture[:, 600 + GAP_PX : 1200 + GAP_PX])


def test_a_region_is_drawn_where_each_version_has_it():
    twice = (coffee(),) * 2, (corner(0, 1, (400, 600)),) * 2
    places = (Region.parse("cta=100,50,80,60"),), (Region.parse("cta=300,200,80,60"),)
    plain, drawn = (to_change_picture(*twice, TITLES, r) for r in (((), ()), places))
    changed = (plain != drawn).any(axis=2)
    columns = [np.flatnonzero(changed[:, start : start + 600].any(axis=0)) for start in (0, 612)]
    assert [found[0] for found in columns] == [99, 299]


def test_a_light_picture_stays_light():
    white = np.full((60, 80, 3), 255, np.uint8)
    picture = to_change_overlay(white, corner(0, 0), corner(1, 1))
    assert (picture[40:, :30] == 255).all()
