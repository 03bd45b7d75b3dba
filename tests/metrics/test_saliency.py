import json
from pathlib import Path

import numpy as np
import pytest

from saliency.metrics import (
    CenterBias,
    auc,
    auc_shuffled,
    cc,
    information_gain,
    kl_div,
    nss,
    pool_fixations,
    rescale_fixations,
    sim,
)
from saliency.types import Fixations

GOLDEN = json.loads(
    Path(__file__).parents[1].joinpath("golden", "pysaliency.json").read_text(encoding="utf-8")
)["images"]
IMAGES = pytest.mark.parametrize("n", range(len(GOLDEN)))

PEAK = np.array([[0.0, 0, 0], [0, 9, 0], [0, 0, 0]])  # mean 1, variance 8


def points(*xy):
    array = np.array(xy, dtype=np.float32).reshape(-1, 2)
    return Fixations(array[:, 0], array[:, 1])


def golden_array(n, key):
    return np.array(GOLDEN[n][key], dtype=np.float64)


def golden_fixations(n):
    return Fixations(golden_array(n, "xs").astype("f4"), golden_array(n, "ys").astype("f4"))


@pytest.fixture
def density():
    values = np.random.default_rng(0).random((12, 17))
    return values / values.sum()


class TestGolden:
    """The numbers of the reference implementation."""

    @IMAGES
    @pytest.mark.parametrize("metric", [nss, auc])
    def test_fixation_metrics(self, n, metric):
        value = metric(golden_array(n, "prediction"), golden_fixations(n))
        assert value == pytest.approx(GOLDEN[n][metric.__name__], rel=1e-10)

    @IMAGES
    @pytest.mark.parametrize("metric", [cc, sim, kl_div])
    def test_density_metrics(self, n, metric):
        value = metric(golden_array(n, "prediction"), golden_array(n, "target"))
        assert value == pytest.approx(GOLDEN[n][metric.__name__], rel=1e-10)

    @IMAGES
    def test_shuffled_auc_with_images_of_other_sizes(self, n):
        others = [i for i in range(len(GOLDEN)) if i != n]
        prediction = golden_array(n, "prediction")
        negatives = pool_fixations(
            [golden_fixations(i) for i in others],
            [golden_array(i, "prediction").shape for i in others],
            prediction.shape,
        )
        value = auc_shuffled(prediction, golden_fixations(n), negatives)
        assert value == pytest.approx(GOLDEN[n]["auc_shuffled"], rel=1e-10)

    @IMAGES
    def test_information_gain(self, n):
        density = golden_array(n, "prediction") + 1
        center_bias = golden_array(n, "center_bias")
        value = information_gain(
            density / density.sum(), golden_fixations(n), center_bias / center_bias.sum()
        )
        assert value == pytest.approx(GOLDEN[n]["information_gain"], rel=1e-10)


class TestNss:
    def test_by_hand(self):
        assert nss(PEAK, points((1, 1))) == pytest.approx(8 / np.sqrt(8))

    def test_repeats_count(self):
        value = nss(PEAK, points((1, 1), (1, 1), (0, 0)))
        assert value == pytest.approx((2 * 8 - 1) / 3 / np.sqrt(8))

    def test_points_fall_into_the_pixel_around_them(self):
        assert nss(PEAK, points((1.99, 1.01))) == pytest.approx(8 / np.sqrt(8))

    def test_x_is_the_column(self):
        saliency_map = np.array([[0.0, 0, 1], [0, 0, 0]])
        assert nss(saliency_map, points((2, 0))) > 0

    def test_points_outside_are_dropped(self):
        inside = points((1, 1))
        with_strays = points((1, 1), (3, 1), (-0.5, 0), (0, 3))
        assert nss(PEAK, with_strays) == nss(PEAK, inside)

    # The mean of such maps is not exactly their value, so their computed deviation is not 0.
    @pytest.mark.parametrize("value", [0, 0.1, 1 / 63, 1e-7])
    def test_constant_map_is_chance(self, value):
        assert nss(np.full((7, 9), value), points((1, 1))) == 0

    @pytest.mark.parametrize("scale", [1e-8, 1e8])
    def test_scale_and_offset_do_not_matter(self, density, scale):
        fixations = points((3, 4), (10, 2))
        value = nss(scale * (density + 1), fixations)
        assert value == pytest.approx(nss(density, fixations), rel=1e-6)

    def test_float32_map_is_averaged_in_float64(self):
        saliency_map = (1000 + np.random.default_rng(1).random((300, 400))).astype(np.float32)
        fixations = points((10, 20), (300, 200))
        value = nss(saliency_map, fixations)
        assert value == pytest.approx(nss(saliency_map.astype(np.float64), fixations), rel=1e-12)


class TestCc:
    def test_self_is_1(self, density):
        assert cc(density, density) == pytest.approx(1)

    def test_negative_is_minus_1(self, density):
        assert cc(-density, density) == pytest.approx(-1)

    @pytest.mark.parametrize("value", [0, 0.1, 1 / 204])
    def test_one_constant_is_0(self, density, value):
        constant = np.full_like(density, value)
        assert (cc(constant, density), cc(density, constant)) == (0, 0)

    def test_scale_and_offset_do_not_matter(self, density):
        other = density[::-1]
        assert cc(255 * density + 3, other) == pytest.approx(cc(density, other))

    def test_integer_maps_do_not_wrap(self):
        saliency_map = np.array([[0, 255], [255, 0]], dtype=np.uint8)
        assert cc(saliency_map, 255 - saliency_map) == pytest.approx(-1)


class TestSim:
    def test_self_is_1(self, density):
        assert sim(density, density) == pytest.approx(1)

    def test_disjoint_is_0(self):
        assert sim(np.array([[1.0, 0]]), np.array([[0.0, 1]])) == 0

    def test_by_hand(self):
        assert sim(np.array([[3.0, 1]]), np.array([[2.0, 2]])) == pytest.approx(0.75)

    def test_maps_are_not_stretched_to_their_range(self):
        # Stretching to 0..1 makes (3, 2) and (3, 1) the same map.
        assert sim(np.array([[3.0, 2]]), np.array([[3.0, 1]])) == pytest.approx(0.6 + 0.25)

    def test_scale_does_not_matter(self, density):
        other = density[::-1]
        assert sim(255 * density, 0.1 * other) == pytest.approx(sim(density, other))


class TestKlDiv:
    def test_self_is_0(self, density):
        assert kl_div(density, density) == pytest.approx(0, abs=1e-12)

    def test_by_hand(self):
        prediction, target = np.array([[1.0, 3]]), np.array([[1.0, 1]])
        assert kl_div(prediction, target) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))

    def test_swapped_arguments_differ(self):
        prediction, target = np.array([[1.0, 3]]), np.array([[1.0, 1]])
        assert kl_div(prediction, target) != pytest.approx(kl_div(target, prediction), rel=0.01)

    def test_missed_mass_costs_what_the_floor_says(self):
        value = kl_div(np.array([[1.0, 0]]), np.array([[0.0, 1]]))
        assert value == pytest.approx(-np.log(2.2204e-16))

    def test_scale_does_not_matter(self, density):
        other = density[::-1]
        assert kl_div(255 * density, 0.1 * other) == pytest.approx(kl_div(density, other))

    def test_empty_prediction_is_the_uniform_density(self, density):
        empty, uniform = np.zeros_like(density), np.ones_like(density)
        assert kl_div(empty, density) == kl_div(uniform, density)


class TestAuc:
    def test_by_hand_the_fixated_pixel_is_a_negative_too(self):
        assert auc(PEAK, points((1, 1))) == pytest.approx((8 + 0.5) / 9)

    def test_ties_count_half(self):
        # 7 other zeros and itself tie, only the peak is above.
        assert auc(PEAK, points((0, 0))) == pytest.approx(8 * 0.5 / 9)

    def test_repeats_count(self):
        value = auc(PEAK, points((1, 1), (1, 1), (0, 0)))
        assert value == pytest.approx((2 * 8.5 + 4) / 3 / 9)

    def test_constant_map_is_chance(self):
        assert auc(np.full((7, 9), 0.1), points((1, 1), (3, 2))) == 0.5

    def test_only_the_order_matters(self, density):
        fixations = points((3, 4), (10, 2))
        assert auc(np.log(density), fixations) == auc(density, fixations)


class TestAucShuffled:
    def test_constant_map_is_chance(self):
        assert auc_shuffled(np.full((7, 9), 0.1), points((1, 1)), points((3, 2))) == 0.5

    def test_by_hand(self):
        # The peak beats one negative and ties with the other.
        value = auc_shuffled(PEAK, points((1, 1)), points((0, 0), (1, 1)))
        assert value == pytest.approx(0.75)

    def test_swapped_points_mirror(self):
        here, elsewhere = points((1, 1)), points((0, 0), (1, 1))
        value = auc_shuffled(PEAK, elsewhere, here)
        assert value == pytest.approx(1 - auc_shuffled(PEAK, here, elsewhere))

    def test_repeats_among_the_negatives_count(self):
        value = auc_shuffled(PEAK, points((1, 1)), points((0, 0), (0, 0), (0, 0), (1, 1)))
        assert value == pytest.approx((3 + 0.5) / 4)

    def test_center_bias_is_chance_where_auc_is_fooled(self):
        rng = np.random.default_rng(0)
        here, elsewhere = (points(*rng.normal(50, 12, (3000, 2))) for _ in range(2))
        ys, xs = np.mgrid[:100, :100]
        center = np.exp(-((ys - 50) ** 2 + (xs - 50) ** 2) / 288)
        assert auc(center, here) > 0.9
        assert auc_shuffled(center, here, elsewhere) == pytest.approx(0.5, abs=0.03)


class TestInformationGain:
    uniform = np.full((3, 3), 1 / 9)
    peaked = np.where(PEAK > 0, 0.5, 1 / 16)

    def test_by_hand(self):
        value = information_gain(self.peaked, points((1, 1), (1, 1), (0, 0)), self.uniform)
        assert value == pytest.approx((2 * np.log2(9 / 2) + np.log2(9 / 16)) / 3)

    def test_baseline_gains_nothing_on_itself(self):
        assert information_gain(self.peaked, points((1, 1), (2, 0)), self.peaked) == 0

    def test_swapped_densities_change_the_sign(self):
        value = information_gain(self.uniform, points((1, 1)), self.peaked)
        assert value == pytest.approx(-np.log2(9 / 2))

    def test_impossible_fixation_costs_everything(self):
        assert information_gain(PEAK / 9, points((0, 0)), self.uniform) == -np.inf

    def test_saliency_map_is_no_density(self):
        with pytest.raises(ValueError, match=r"`density` should sum to 1\. Found 9\."):
            information_gain(PEAK, points((1, 1)), self.uniform)

    def test_baseline_must_not_exclude_a_fixation(self):
        with pytest.raises(ValueError, match=r"positive at every fixation\. Found 0 at 1 of 2"):
            information_gain(self.uniform, points((0, 0), (1, 1)), PEAK / 9)


class TestChecks:
    @pytest.mark.parametrize("metric", [nss, auc])
    @pytest.mark.parametrize("fixations", [points(), points((3, 0))], ids=["none", "outside"])
    def test_fixations_are_needed(self, metric, fixations):
        with pytest.raises(ValueError, match="`fixations` should hold at least one point inside"):
            metric(PEAK, fixations)

    def test_negatives_are_needed(self):
        with pytest.raises(ValueError, match="`other_fixations` should hold at least one"):
            auc_shuffled(PEAK, points((1, 1)), points())

    @pytest.mark.parametrize("metric", [cc, sim, kl_div])
    def test_shapes_must_match(self, metric):
        with pytest.raises(ValueError, match=r"target's shape \(3, 3\)\. Found \(1, 9\)"):
            metric(PEAK.reshape(1, 9), PEAK)

    @pytest.mark.parametrize("metric", [sim, kl_div])
    @pytest.mark.parametrize("swap", [False, True])
    def test_densities_are_non_negative(self, metric, swap):
        arguments = (PEAK, -PEAK) if swap else (-PEAK, PEAK)
        with pytest.raises(ValueError, match=r"should be non-negative\. Found -9"):
            metric(*arguments)

    @pytest.mark.parametrize("metric", [cc, sim, kl_div])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_maps_are_finite(self, metric, value):
        broken = np.where(PEAK > 0, value, 0)
        with pytest.raises(ValueError, match=r"should be finite\. Found 1"):
            metric(PEAK, broken)

    def test_maps_have_two_dimensions(self):
        with pytest.raises(ValueError, match=r"shape \(height, width\)\. Found \(3, 3, 1\)"):
            nss(PEAK[..., np.newaxis], points((1, 1)))


class TestPooling:
    def test_height_and_width_are_not_swapped(self):
        scaled = rescale_fixations(points((10, 5)), (20, 40), (100, 80))
        assert (scaled.xs.item(), scaled.ys.item()) == (20, 25)

    @pytest.mark.parametrize(("old", "new"), [(560, 640), (49, 7), (480, 288)])
    def test_edges_of_pixels_stay_edges(self, old, new):
        shared = np.arange(0, old, old / np.gcd(old, new), dtype=np.float32)
        scaled = rescale_fixations(Fixations(shared, shared), (old, old), (new, new))
        assert scaled.xs.tolist() == (shared.astype(int) * new // old).tolist()

    def test_images_are_scaled_by_their_own_size(self):
        pooled = pool_fixations([points((1, 1)), points((1, 1))], [(2, 2), (4, 4)], (8, 8))
        assert pooled.xs.tolist() == [4, 2]

    def test_every_image_needs_a_size(self):
        with pytest.raises(ValueError, match="`sizes` should have one entry for each of the 1"):
            pool_fixations([points((1, 1))], [], (8, 8))


class TestCenterBias:
    def test_density_is_positive_and_sums_to_1(self):
        density = CenterBias.fit([points((1, 1))], [(100, 100)]).density((60, 90))
        assert density.min() > 0
        assert density.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)

    def test_peak_keeps_its_relative_place(self):
        # A quarter across and three quarters down, seen in frames of two sizes.
        bias = CenterBias.fit([points((25, 30)), points((50, 60))], [(40, 100), (80, 200)])
        density = bias.density((200, 120))
        assert np.unravel_index(density.argmax(), density.shape) == (150, 30)

    def test_sigma_widens_it(self):
        bias = CenterBias.fit([points((50, 50))], [(100, 100)])
        assert bias.density((100, 100), sigma_px=10).max() < bias.density((100, 100)).max()

    def test_points_outside_all_images_give_no_density(self):
        with pytest.raises(ValueError, match="`unit_fixations` should hold at least one point"):
            CenterBias.fit([points((200, 0))], [(100, 100)]).density((10, 10))
