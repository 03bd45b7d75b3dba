"""One rule for the white level of samples, and an error if it is not known."""

import numpy as np
import pytest

from saliency.errors import ImageDecodeError
from saliency.images.depth import from_integers, to_8_bits


def ramp(high, low=0.0, count=1000):
    return np.linspace(low, high, count, dtype=np.float32).reshape(20, -1)


def test_floats_up_to_1_are_white_at_1():
    assert to_8_bits(ramp(0.5), "x").max() == 128


def test_floats_beyond_1_are_white_at_255():
    assert to_8_bits(ramp(200), "x").max() == 200


@pytest.mark.parametrize("hot", [1000, -1000, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("high", [0.5, 200])
def test_one_pixel_does_not_decide_how_the_others_are_read(high, hot):
    values = ramp(high)
    with_hot = values.copy()
    with_hot[0, 0] = hot
    np.testing.assert_array_equal(to_8_bits(with_hot, "x")[1:], to_8_bits(values, "x")[1:])


@pytest.mark.parametrize("values", [ramp(65535), ramp(5), ramp(1, -1), ramp(1000)])
def test_floats_of_another_scale_are_refused(values):
    with pytest.raises(ImageDecodeError, match=r"x should have floats within 0\.\.1 or 0\.\.255"):
        to_8_bits(values, "x")


def test_integers_of_32_bits_fill_their_range():
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    assert to_8_bits(values, "x").tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("shape", [(20, 50), (20, 50, 3)])
def test_small_numbers_in_32_bits_are_refused(shape):
    values = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint32)
    with pytest.raises(ImageDecodeError, match="Found hardly any above"):
        to_8_bits(values, "x")


def test_black_in_32_bits_is_black():
    assert not to_8_bits(np.zeros((4, 4), np.uint32), "x").any()


def test_pillows_32_bit_grey_is_of_16_bits():
    assert from_integers(np.array([[0, 32768, 65535]]), "x").tolist() == [[0, 128, 255]]
    with pytest.raises(ImageDecodeError, match=r"within 0\.\.65535"):
        from_integers(np.array([[0, 1 << 20]]), "x")
