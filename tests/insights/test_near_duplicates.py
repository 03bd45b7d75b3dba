"""Copies, edits and small moves of a photo are near-duplicates; other photos are not."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, chelsea, coffee, rocket

from saliency.insights import find_near_duplicates, to_perceptual_hash
from saliency.insights.near_duplicates import MAX_DISTANCE

PHOTOS = {"astronaut": astronaut, "chelsea": chelsea, "coffee": coffee, "rocket": rocket}


def differ(one, other):
    return np.count_nonzero(to_perceptual_hash(one) != to_perceptual_hash(other))


def recompress(photo):
    data = BytesIO()
    Image.fromarray(photo).save(data, "JPEG", quality=30)
    return np.array(Image.open(data))


def resize(photo):
    return cv2.resize(photo, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)


def darken(photo):
    return (photo * 0.7).astype(np.uint8)


def to_grey(photo):
    return cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def nudge(photo):
    height, width = photo.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), 1, 1)  # by a degree
    move[0, 2] += 0.02 * width
    return cv2.warpAffine(photo, move, (width, height), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("change", [recompress, resize, darken, to_grey, nudge])
@pytest.mark.parametrize("name", PHOTOS)
def test_a_changed_photo_is_a_near_duplicate(name, change):
    photo = PHOTOS[name]()
    assert differ(photo, change(photo)) <= MAX_DISTANCE


@pytest.mark.parametrize("name", PHOTOS)
def test_other_photos_are_not(name):
    distances = [differ(PHOTOS[name](), other()) for key, other in PHOTOS.items() if key != name]
    assert min(distances) > MAX_DISTANCE


@pytest.mark.parametrize("turn", [np.fliplr, np.flipud, np.rot90])
def test_a_mirrored_or_turned_photo_is_another(turn):
    assert differ(coffee(), np.ascontiguousarray(turn(coffee()))) > MAX_DISTANCE


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2)])
def test_any_size_has_a_hash(size):
    assert to_perceptual_hash(np.full((*size, 3), 200, np.uint8)).shape == (144,)


@pytest.mark.parametrize("name", PHOTOS)
def test_half_of_the_bits_are_set(name):
    assert to_perceptual_hash(PHOTOS[name]()).sum() == 72


def flip(bits, count):
    changed = bits.copy()
    changed[:count] = ~changed[:count]
    return changed


@pytest.fixture
def bits():
    return np.random.default_rng(0).random(144) < 0.5


def test_the_best_of_a_group_comes_first(bits):
    assert find_near_duplicates([bits, bits, bits], [5, 7, 6]) == [[1, 2, 0]]


def test_a_group_ends_at_the_greatest_distance(bits):
    hashes = [bits, flip(bits, MAX_DISTANCE), flip(bits, MAX_DISTANCE + 1)]
    assert find_near_duplicates(hashes, [3, 2, 1]) == [[0, 1]]


def test_a_series_that_drifts_is_no_single_group(bits):
    # Each frame is 20 bits from the next; the fourth is too far from the first.
    hashes = [flip(bits, 20 * frame) for frame in range(4)]
    assert find_near_duplicates(hashes, [4, 3, 2, 1]) == [[0, 1], [2, 3]]


def test_groups_come_by_their_best(bits):
    hashes = [bits, ~bits, bits, ~bits]
    assert find_near_duplicates(hashes, [1, 9, 2, 8]) == [[1, 3], [2, 0]]


def test_a_photo_alone_is_in_no_group(bits):
    assert find_near_duplicates([bits, ~bits], [1, 2]) == []


def test_no_photo_is_no_group():
    assert find_near_duplicates([], []) == []


def test_equal_scores_keep_their_order(bits):
    assert find_near_duplicates([bits, bits], [5, 5]) == [[0, 1]]
