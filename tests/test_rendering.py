"""Pictures keep the density's proportions, the photo's own look and every bit they are given."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from saliency.rendering import encode_png, is_light, to_heatmap, to_overlay, to_saliency_map


def peak_at(row: int, column: int, size: tuple[int, int] = (60, 80)) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    density = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 5.0**2))
    return (density / density.sum()).astype(np.float32)


def photo(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def lightness(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[:, :, 0]


@pytest.mark.parametrize(("bits", "white"), [(8, 255), (16, 65535)])
def test_the_peak_of_a_map_is_full_range(bits, white):
    assert to_saliency_map(peak_at(20, 30), bits=bits)[20, 30] == white


def test_a_map_is_proportional_to_the_density():
    density = np.array([[0.0, 0.1, 0.2, 0.4]])
    assert to_saliency_map(density, bits=16).tolist() == [[0, 16384, 32768, 65535]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_map_survives_densities_of_large_photos(dtype):
    density = np.full((4, 4), 1e-9, dtype)
    assert (to_saliency_map(density) == 255).all()


def test_zeros_stay_zeros():
    assert not to_saliency_map(np.zeros((3, 4), np.float32)).any()


def test_a_heatmap_is_rgb_not_bgr():
    red, _, blue = to_heatmap(np.array([[0.6, 1.0]]))[0, 0]
    assert red > blue


def test_a_heatmap_grows_lighter_in_nearly_equal_steps():
    steps = np.diff(lightness(to_heatmap(np.linspace(0, 1, 9)[np.newaxis]))[0])
    assert steps.min() > 0.7 * steps.mean()  # turbo and jet: below zero


def test_an_overlay_is_lightest_where_people_look():
    grey = np.full((60, 80, 3), 100, np.uint8)
    light = lightness(to_overlay(grey, peak_at(20, 30)))
    assert np.unravel_index(light.argmax(), light.shape) == (20, 30)


def test_a_cold_region_keeps_the_photos_structure():
    cold = np.s_[40:, 60:]
    overlay = to_overlay(photo(), peak_at(10, 10))
    correlation = np.corrcoef(lightness(photo())[cold].ravel(), lightness(overlay)[cold].ravel())
    assert correlation[0, 1] > 0.95


def test_the_photo_shows_through_the_peak():
    stripes = np.zeros((60, 80, 3), np.uint8)
    stripes[:, ::2] = 255
    light = lightness(to_overlay(stripes, np.ones((60, 80), np.float32)))
    assert abs(light[30, 30] - light[30, 31]) > 10


def page_with_text() -> NDArray[np.uint8]:
    page = np.full((60, 80, 3), 255, np.uint8)
    page[::6, 10:70] = 0
    return page


def test_a_light_picture_keeps_its_light_ground():
    assert (to_overlay(page_with_text(), peak_at(20, 30))[58, :20] == 255).all()


def test_a_light_picture_is_coloured_where_people_look():
    red, _, blue = to_overlay(page_with_text(), peak_at(20, 30))[20, 30].astype(int)
    assert red > blue + 60


@pytest.mark.parametrize(("share", "light"), [(0.3, False), (0.4, True)])
def test_a_picture_is_light_by_how_much_of_it_is_nearly_white(share, light):
    picture = np.full((10, 10, 3), 90, np.uint8)
    picture[: round(10 * share)] = 240
    assert is_light(picture) is light


def test_a_legend_adds_a_line_below_the_same_overlay():
    plain, legend = (to_overlay(photo(300, 400), peak_at(20, 30), legend=on) for on in (0, 1))
    np.testing.assert_array_equal(legend[:300], plain)
    assert legend[300:].std() > 10


@pytest.mark.parametrize("width", [1, 50, 5000])
def test_a_legend_fits_below_any_width(width):
    overlay = to_overlay(photo(40, width), peak_at(20, 30), max_side_px=None, legend=True)
    assert overlay.shape[1] == width


def test_an_overlay_does_not_change_the_photo():
    given = photo()
    to_overlay(given, peak_at(20, 30))
    np.testing.assert_array_equal(given, photo())


def test_a_large_photo_is_reduced_in_proportion():
    overlay = to_overlay(photo(300, 400), peak_at(20, 30), max_side_px=100)
    assert overlay.shape == (75, 100, 3)


def test_a_small_photo_is_not_enlarged():
    assert to_overlay(photo(), peak_at(20, 30), max_side_px=100).shape == (60, 80, 3)


def test_without_a_limit_the_size_is_kept():
    assert to_overlay(photo(20, 2000), peak_at(2, 3), max_side_px=None).shape == (20, 2000, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_sizes_are_drawn(size):
    overlay = to_overlay(photo(*size), np.ones(size, np.float32), max_side_px=50)
    assert overlay.shape == (*np.minimum(size, 50), 3)


@pytest.mark.parametrize("density", [np.ones, np.zeros])
def test_a_flat_density_is_drawn_evenly(density):
    grey = np.full((6, 8, 3), 100, np.uint8)
    overlay = to_overlay(grey, density((6, 8), np.float32))
    assert (overlay == overlay[0, 0]).all()


@pytest.mark.parametrize(
    "image",
    [
        photo(),
        photo()[:, ::-1],
        photo()[:, :, 0],
        to_saliency_map(peak_at(20, 30), bits=16),
    ],
    ids=["rgb", "flipped view", "grey", "16-bit grey"],
)
def test_png_keeps_every_value(image):
    with Image.open(BytesIO(encode_png(image))) as decoded:
        np.testing.assert_array_equal(np.array(decoded), image)
