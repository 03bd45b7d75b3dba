"""Crops have their shape, lie inside, keep what matters and differ from each other."""

import numpy as np
import pytest

from saliency.errors import InsightError
from saliency.insights import AspectRatio, Box, Crop, propose_crops, rank_crops

SIZES = [(1, 1), (1, 500), (500, 1), (3, 4), (480, 640), (640, 480), (1001, 1999)]
SHAPES = ["1:1", "16:9", "4x5", "1:20", "20:1", "1.333"]


@pytest.fixture(scope="module")
def corner_blob(draw_blobs):
    """Everything around x 480, y 120 of 640 x 480 pixels."""
    return draw_blobs((480, 640), (480, 120, 25, 1.0))


def noise(size):
    return np.random.default_rng(0).random(size, dtype=np.float32) ** 20


def overlap(one, other):
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    both = max(0, across) * max(0, down)
    return both / (one.area + other.area - both)


@pytest.mark.parametrize(
    ("text", "value"), [("16:9", 16 / 9), ("4x5", 0.8), ("1.5", 1.5), (" 1 : 20 ", 0.05)]
)
def test_a_shape_is_width_over_height(text, value):
    assert AspectRatio.parse(text).value == pytest.approx(value)


@pytest.mark.parametrize("text", ["16:9", "4:5", "1.85:1"])
def test_a_shape_is_printed_as_written(text):
    assert str(AspectRatio.parse(text)) == text


@pytest.mark.parametrize("text", ["", "wide", "16:9:1", "-1:1", "1:", "1e3", "nan", "16/9"])
def test_what_is_no_shape_is_quoted(text):
    with pytest.raises(InsightError, match=r"`aspect` should be like 16:9, 4x5 or 1.5. Found"):
        AspectRatio.parse(text)


@pytest.mark.parametrize("text", ["21:1", "1:21", "0:1", "1:0", "0", "0:0", "9" * 400])
def test_a_shape_beyond_the_limits_is_refused(text):
    with pytest.raises(InsightError, match="between 1:20 and 20:1"):
        AspectRatio.parse(text)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_crops_are_whole_pixels_inside_the_photo(size, shape):
    for crop in propose_crops(noise(size), AspectRatio.parse(shape)):
        box = crop.box
        assert all(isinstance(n, int) for n in (box.x, box.y, box.width, box.height))
        assert box.cut_to(size) == box


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_crops_have_their_shape_to_within_a_pixel(size, shape):
    aspect = AspectRatio.parse(shape)
    for crop in propose_crops(noise(size), aspect):
        by_width = abs(crop.box.height - crop.box.width / aspect.value)
        by_height = abs(crop.box.width - crop.box.height * aspect.value)
        assert min(by_width, by_height) <= 1


@pytest.mark.parametrize("size", SIZES)
def test_there_is_always_a_crop(size):
    assert 1 <= len(propose_crops(np.ones(size), AspectRatio(16, 9), count=3)) <= 3


def test_crops_are_not_smaller_than_half_the_largest():
    crops = propose_crops(noise((480, 640)), AspectRatio(1, 1), count=1000)
    assert min(crop.box.width for crop in crops) >= 240


@pytest.mark.parametrize("shape", ["1:1", "16:9", "9:16"])
def test_the_first_crop_keeps_the_blob(corner_blob, shape):
    assert propose_crops(corner_blob, AspectRatio.parse(shape))[0].kept_attention > 0.95


def test_a_compact_blob_is_worth_a_smaller_crop(corner_blob):
    assert propose_crops(corner_blob, AspectRatio(4, 3))[0].box.area < 480 * 640 / 2


def test_attention_everywhere_is_worth_the_largest_crop():
    crop = propose_crops(np.ones((480, 640)), AspectRatio(4, 3))[0]
    assert crop.box == Box(0, 0, 640, 480)


def test_what_would_be_cut_through_is_left_out(draw_blobs):
    # A square cannot hold both. It would keep most with one whole and a piece of the other.
    density = draw_blobs((200, 600), (100, 100, 15, 0.6), (285, 100, 15, 0.4))
    box = propose_crops(density, AspectRatio(1, 1))[0].box
    assert box.x + box.width < 285 - 2 * 15


def test_the_photos_own_border_cuts_nothing(delta):
    crop = propose_crops(delta((480, 640), 0, 0), AspectRatio(4, 3))[0]
    assert crop.kept_attention == 1
    assert crop.balance == pytest.approx(1 - 0.1 * crop.box.area / (480 * 640))


def test_cut_attention_is_that_of_a_band_around_the_one_edge_inside():
    # The largest square lies at one side; its band reaches 6 pixels to either side of its edge.
    crop = propose_crops(np.ones((100, 200)), AspectRatio(1, 1))[0]
    assert crop.box in (Box(0, 0, 100, 100), Box(100, 0, 100, 100))
    assert crop.cut_attention == pytest.approx(12 * 100 / (100 * 200))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_balance_is_what_is_kept_less_what_area_and_cuts_cost(shape):
    for crop in propose_crops(noise((480, 640)), AspectRatio.parse(shape)):
        cost = 0.1 * crop.box.area / (480 * 640) + crop.cut_attention
        assert crop.balance == pytest.approx(crop.kept_attention - cost)


@pytest.mark.parametrize("shape", SHAPES)
def test_crops_are_distinct(shape):
    boxes = [c.box for c in propose_crops(noise((480, 640)), AspectRatio.parse(shape), count=50)]
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
    assert pairs
    assert max(overlap(a, b) for a, b in pairs) < 0.7


def test_crops_come_best_first():
    balances = [c.balance for c in propose_crops(noise((480, 640)), AspectRatio(1, 1), count=50)]
    assert balances == sorted(balances, reverse=True)


def test_more_crops_begin_with_the_fewer():
    few, many = (propose_crops(noise((480, 640)), AspectRatio(1, 1), n) for n in (2, 9))
    assert many[:2] == few


@pytest.mark.parametrize("size", [(480, 640), (1201, 1603), (3000, 4000)])
def test_kept_attention_is_the_sum_of_the_crops_pixels(size, draw_blobs):
    height, width = size
    density = draw_blobs(size, (width / 3, height / 3, width / 12, 0.6), (width, 0, width / 9, 0.4))
    for crop in propose_crops(density, AspectRatio(1, 1)):
        inside = density[crop.box.pixels].sum(dtype=np.float64)
        assert crop.kept_attention == pytest.approx(inside, abs=1e-4)


def test_fewer_than_one_crop_is_refused():
    with pytest.raises(InsightError, match=r"`count` should be at least 1. Found 0"):
        propose_crops(np.ones((4, 4)), AspectRatio(1, 1), count=0)


def crops_of(*balances):
    shape = AspectRatio(1, 1)
    return [Crop(shape, Box(i, 0, 9, 9), 0.5 + i / 10, 0.1, b) for i, b in enumerate(balances)]


def order(ranked):
    return [crop.box.x for crop in ranked]


def test_ranks_begin_at_1():
    ranked = rank_crops(crops_of(0.5, 0.6, 0.7), [5, 5, 5], count=3)
    assert [crop.rank for crop in ranked] == [1, 2, 3]


def test_at_equal_scores_the_balance_decides():
    assert order(rank_crops(crops_of(0.5, 0.7, 0.6), [5, 5, 5], count=3)) == [1, 2, 0]


def test_at_equal_balance_the_score_decides():
    assert order(rank_crops(crops_of(0.5, 0.5, 0.5), [5, 4, 6], count=3)) == [2, 0, 1]


@pytest.mark.parametrize(("score", "first"), [(5.9, 0), (6.1, 1)])
def test_a_point_of_score_is_worth_a_tenth_of_attention(score, first):
    assert order(rank_crops(crops_of(0.7, 0.6), [5, score])) == [first]


@pytest.mark.parametrize("scores", [[None, None], [None, 10]])
def test_without_scores_the_balance_decides(scores):
    assert order(rank_crops(crops_of(0.7, 0.6), scores, count=2)) == [0, 1]


def test_equal_crops_stay_in_order():
    assert order(rank_crops(crops_of(0.5, 0.5, 0.5), [5, 5, 5], count=3)) == [0, 1, 2]


def test_a_ranked_crop_keeps_what_it_was():
    (crop,) = crops_of(0.5)
    (ranked,) = rank_crops([crop], [6.5])
    assert (ranked.aspect, ranked.box) == (crop.aspect, crop.box)
    assert (ranked.kept_attention, ranked.score) == (crop.kept_attention, 6.5)
    assert ranked.cut_attention == crop.cut_attention


def test_no_crop_is_no_result():
    assert rank_crops([], []) == []


def test_scores_are_one_a_crop():
    with pytest.raises(InsightError, match=r"`scores` should have one per crop, 2. Found 1"):
        rank_crops(crops_of(0.5, 0.6), [5])


def test_fewer_than_one_ranked_crop_is_refused():
    with pytest.raises(InsightError, match=r"`count` should be at least 1. Found 0"):
        rank_crops(crops_of(0.5), [5], count=0)
