"""Grids keep the attention they are made from; tables count fractions of pixels."""

import numpy as np
import pytest

from saliency.errors import InsightError
from saliency.insights import measure_regions, propose_crops, require_density, summarize
from saliency.insights.attention import AttentionTable, coarsen, to_grid
from saliency.insights.boxes import Box
from saliency.insights.crops import AspectRatio
from saliency.sizes import fit_within

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (383, 384), (767, 768), (3000, 4001)])
def test_a_coarse_density_keeps_its_mean(size):
    density = RANDOM.random(size, dtype=np.float32)
    assert coarsen(density).mean() == pytest.approx(density.mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("side", "coarse"), [(1, 1), (767, 767), (768, 384), (4032, 448), (4001, 400), (100_000, 400)]
)
def test_a_side_is_divided_by_a_whole_number_that_fits(side, coarse):
    assert coarsen(np.ones((1, side), np.float32)).shape == (1, coarse)


def test_a_grid_averages_blocks():
    density = np.array([[1, 1, 2, 4], [1, 1, 4, 6]], np.float32)
    assert to_grid(density, (1, 2)).tolist() == [[0.2, 0.8]]


def test_a_grid_splits_the_pixels_of_a_small_photo():
    grid = to_grid(np.array([[1, 3]], np.float32), (2, 4))
    assert grid.tolist() == [[1 / 16, 1 / 16, 3 / 16, 3 / 16]] * 2


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (31, 33), (100, 1)])
def test_a_grid_sums_to_1(size):
    grid = to_grid(RANDOM.random(size, dtype=np.float32), (32, 32))
    assert grid.shape == (32, 32)
    assert grid.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("size", "grid"), [((480, 640), (72, 96)), ((30, 40), (30, 40)), ((1, 9999), (1, 96))]
)
def test_cells_are_nearly_square(size, grid):
    assert fit_within(size, 96) == grid


def test_a_table_counts_fractions_of_pixels():
    table = AttentionTable(np.array([[1, 3]], np.float32), (1, 2))
    edges = map(np.array, ([0.5], [0.25], [1.5], [0.75]))
    assert table.shares(*edges) == pytest.approx((1 + 3) / 2 / 2 / 4)


def test_a_table_of_a_reduced_density_counts_in_pixels_of_the_photo():
    table = AttentionTable(np.array([[1, 3]], np.float32), (100, 200))
    edges = map(np.array, ([100], [0], [200], [100]))
    assert table.shares(*edges) == pytest.approx(0.75)


ASK = {
    "summarize": summarize,
    "measure_regions": lambda density: measure_regions(density, [Box(0, 0, 1, 1)]),
    "propose_crops": lambda density: propose_crops(density, AspectRatio(1, 1)),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
@pytest.mark.parametrize(
    "density",
    [np.zeros((4, 5)), np.full((4, 5), np.nan), np.full((4, 5), np.inf), -np.ones((4, 5))],
    ids=["zeros", "NaN", "infinite", "negative"],
)
def test_what_is_no_density_is_refused(ask, density):
    with pytest.raises(InsightError, match=r"`density` should be finite"):
        ask(density)


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
@pytest.mark.parametrize("size", [(0, 5), (5,), (4, 5, 1)])
def test_what_is_no_map_is_refused(ask, size):
    with pytest.raises(InsightError, match=r"`density` should be \(height, width\)"):
        ask(np.ones(size))


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_any_multiple_of_a_density_gives_the_same_answer(ask):
    density = RANDOM.random((50, 60), dtype=np.float32)
    assert ask(density) == ask(density * 1024)


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_a_density_is_not_changed(ask):
    density = RANDOM.random((50, 60), dtype=np.float32)
    before = density.copy()
    ask(density)
    np.testing.assert_array_equal(density, before)


def test_a_density_that_is_there_is_handed_back():
    density = np.ones((2, 2), np.float32)
    assert require_density(density) is density


def test_a_network_without_a_saliency_head_is_said():
    with pytest.raises(InsightError, match="saliency head"):
        require_density(None)
