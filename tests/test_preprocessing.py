"""Photos reach the network upright, unaliased, and normalised as its encoder expects."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from saliency.errors import ConfigError
from saliency.preprocessing import Preprocessing, resize

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESSING = Preprocessing(64, 96, MEAN, STD)


def stripes(height: int, width: int) -> NDArray[np.uint8]:
    """Return a photo of black and white columns, one pixel wide: grey from afar."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, ::2] = 255
    return image


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [
        ((300, 400), (64, 96)),
        ((400, 300), (96, 64)),
        ((300, 300), (64, 96)),
        ((1, 1), (64, 96)),
        ((500, 1), (96, 64)),
    ],
)
def test_a_portrait_photo_stays_upright(image_size, expected):
    assert PREPROCESSING.network_size(image_size) == expected


class TestSeveralSizes:
    several = replace(PREPROCESSING, further_sizes=((64, 64), (64, 128)))

    def test_all_are_there_upright_too_and_the_main_one_comes_first(self):
        expected = ((64, 96), (64, 64), (64, 128), (96, 64), (128, 64))
        assert self.several.sizes == expected

    @pytest.mark.parametrize(
        ("image_size", "expected"),
        [
            ((300, 300), (64, 64)),
            ((301, 300), (64, 64)),
            ((300, 301), (64, 64)),
            ((300, 450), (64, 96)),
            ((300, 700), (64, 128)),
            ((400, 300), (96, 64)),
            ((900, 300), (128, 64)),
        ],
    )
    def test_a_photo_takes_the_size_of_the_nearest_proportions(self, image_size, expected):
        assert self.several.network_size(image_size) == expected

    def test_each_is_checked(self):
        with pytest.raises(ConfigError, match=r"\(64, 100\)"):
            replace(PREPROCESSING, further_sizes=((64, 100),))


@pytest.mark.parametrize("image_size", [(300, 400), (400, 300), (1, 500), (500, 1), (1, 1)])
def test_the_input_has_the_network_size(image_size):
    image = np.zeros((*image_size, 3), np.uint8)
    assert PREPROCESSING.to_input(image).shape == (3, *PREPROCESSING.network_size(image_size))


def test_the_input_is_float32():
    assert PREPROCESSING.to_input(stripes(10, 10)).dtype == np.float32


def test_channels_are_red_green_blue_in_this_order():
    image = np.full((64, 96, 3), (255, 0, 51), np.uint8)
    expected = [(v - m) / s for v, m, s in zip((1.0, 0.0, 0.2), MEAN, STD, strict=True)]
    assert PREPROCESSING.to_input(image)[:, 5, 7].tolist() == pytest.approx(expected, rel=1e-5)


def test_rows_stay_rows():
    image = np.zeros((64, 96, 3), np.uint8)
    image[10, 80] = 255
    bright = PREPROCESSING.to_input(image)[0]
    assert divmod(int(bright.argmax()), 96) == (10, 80)


def test_the_photo_itself_is_left_alone():
    image = stripes(64, 96)
    PREPROCESSING.to_input(image)
    assert np.array_equal(image, stripes(64, 96))


@pytest.mark.parametrize("size", [(400, 4000), (20, 4000), (1, 960)])
def test_shrinking_does_not_alias(size):
    """Also where only one side shrinks, as in a panorama."""
    resized = resize(stripes(*size), (64, 96))
    assert resized.min() >= 126
    assert resized.max() <= 129


def test_enlarging_is_smooth():
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200
    steps = np.diff(resize(image, (8, 8))[0, :, 0].astype(int))
    assert steps.min() >= 0
    assert steps.max() <= 60


def test_the_same_size_is_left_as_it_is():
    assert np.array_equal(resize(stripes(64, 96), (64, 96)), stripes(64, 96))


@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("size", [(1, 1), (10, 500), (500, 10), (200, 300)])
def test_a_plain_photo_stays_plain(size, value):
    assert (resize(np.full((*size, 3), value, np.uint8), (64, 96)) == value).all()


@pytest.mark.parametrize("size", [(300, 400), (0, 96), (-32, 96), (64, 97)])
def test_a_size_that_the_encoder_cannot_halve_five_times_is_refused(size):
    with pytest.raises(ConfigError, match="two multiples of 32"):
        Preprocessing(*size, MEAN, STD)


def test_the_refusal_names_a_size_that_works():
    with pytest.raises(ConfigError, match=r"Found \(300, 400\); nearest is \(288, 384\)"):
        Preprocessing(300, 400, MEAN, STD)


def test_width_before_height_is_refused():
    with pytest.raises(ConfigError, match="height <= width"):
        Preprocessing(96, 64, MEAN, STD)
