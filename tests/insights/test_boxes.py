"""Boxes are what was written, and nonsense is named."""

import math

import numpy as np
import pytest

from saliency.errors import InsightError, SaliencyError
from saliency.insights import Box


@pytest.mark.parametrize("text", ["10,20,300,200", "-1.5,0,0.25,4000", "1e3,0,12345.678,1"])
def test_a_box_is_read_back_as_printed(text):
    assert Box.parse(str(Box.parse(text))) == Box.parse(text)


def test_spaces_around_numbers_do_not_matter():
    assert Box.parse(" 1, 2 ,3,4") == Box(1, 2, 3, 4)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1 2 3 4"])
def test_what_is_no_box_is_quoted(text):
    with pytest.raises(InsightError, match=r"`box` should be x,y,width,height.* Found ") as caught:
        Box.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_numbers_are_finite(value, place):
    numbers = [1.0, 2.0, 3.0, 4.0]
    numbers[place] = value
    with pytest.raises(InsightError, match="finite"):
        Box(*numbers)


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_sides_are_above_0(size):
    with pytest.raises(InsightError, match="above 0"):
        Box(0, 0, *size)


def test_the_error_is_one_the_command_line_shows():
    assert issubclass(InsightError, SaliencyError)


def test_pixels_are_all_that_the_box_touches():
    pixels = np.arange(20).reshape(4, 5)
    assert pixels[Box(1.9, 0, 1.2, 2).pixels].tolist() == [[1, 2, 3], [6, 7, 8]]


def test_what_lies_outside_is_cut_off():
    assert Box(-5, 10, 20, 100).cut_to((50, 60)) == Box(0, 10, 15, 40)


def test_a_box_inside_stays_as_it_is():
    assert Box(1.5, 2, 3, 4).cut_to((50, 60)) == Box(1.5, 2, 3, 4)


@pytest.mark.parametrize("box", [Box(60, 0, 5, 5), Box(0, -5, 9, 5), Box(-9, 60, 5, 5)])
def test_a_box_outside_is_named(box):
    with pytest.raises(InsightError, match=rf"60 wide and 50 high. Found {box}"):
        box.cut_to((50, 60))
