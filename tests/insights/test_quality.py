import numpy as np
import pytest
import skimage.data

from saliency.distortions import DISTORTIONS
from saliency.insights import measure_quality
from saliency.insights.quality import NO_PICTURE

CAT = skimage.data.cat()
FACE = (slice(60, 200), slice(120, 320))


def density(rows: slice, columns: slice) -> np.ndarray:
    found = np.full(CAT.shape[:2], 1e-6, np.float32)
    found[rows, columns] = 1
    return found / found.sum()


ON_FACE = density(*FACE)


def spoil(name: str, severity: float) -> np.ndarray:
    return DISTORTIONS[name](CAT, severity, np.random.default_rng(0))


def test_a_sharp_photo_has_no_flaws():
    quality = measure_quality(CAT, ON_FACE)
    assert quality.sharpness > 0.8
    assert quality.has_content
    assert quality.flaws == ""


@pytest.mark.parametrize("name", ["defocus", "low_resolution"])
def test_sharpness_falls_with_blur(name):
    found = [measure_quality(spoil(name, s), ON_FACE).sharpness for s in (0, 0.3, 0.6, 1)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.4 * found[0]


def test_a_blurred_photo_is_called_soft():
    assert "soft" in measure_quality(spoil("defocus", 1), ON_FACE).flaws


@pytest.mark.parametrize("axis", [0, 1])
def test_the_direction_of_a_shake_is_found(axis):
    kernel = np.ones(15) / 15
    shaken = np.apply_along_axis(lambda v: np.convolve(v, kernel, "same"), axis, CAT.astype(float))
    quality = measure_quality(shaken.astype(np.uint8), ON_FACE)
    assert quality.motion_direction == pytest.approx({0: 90, 1: 0}[axis], abs=10)
    assert quality.sharpness < 0.5 * measure_quality(CAT, ON_FACE).sharpness


def test_where_people_look_decides():
    blurred = CAT.copy()
    blurred[FACE] = spoil("defocus", 1)[FACE]
    on_face = measure_quality(blurred, ON_FACE)
    assert on_face.sharpness < 0.5 * on_face.sharpness_elsewhere
    assert measure_quality(blurred, density(slice(210, 290), slice(20, 440))).sharpness > 0.8


def test_noise_is_measured_in_levels():
    rng = np.random.default_rng(0)
    flat = np.full((300, 400, 3), 128.0)
    noisy = np.clip(flat + rng.normal(0, 10, (300, 400, 1)), 0, 255).astype(np.uint8)
    assert measure_quality(noisy, np.ones((3, 4), np.float32)).noise == pytest.approx(10, rel=0.1)


def test_noise_is_not_sharpness():
    soft = measure_quality(spoil("defocus", 1), ON_FACE).sharpness
    noisy = spoil("defocus", 1).astype(float) + np.random.default_rng(0).normal(0, 6, CAT.shape)
    noisy = np.clip(noisy, 0, 255).astype(np.uint8)
    assert measure_quality(noisy, ON_FACE).sharpness < 2 * soft


def test_clipped_pixels_count_where_people_look():
    blown = CAT.copy()
    blown[60:130, 120:320] = 255
    quality = measure_quality(blown, ON_FACE)
    assert quality.clipped_highlights == pytest.approx(0.5, abs=0.05)
    assert "highlights" in quality.flaws
    black = np.where(blown == 255, 0, CAT).astype(np.uint8)
    assert "shadows" in measure_quality(black, ON_FACE).flaws


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((90, 120, 3), np.uint8),
        np.full((90, 120, 3), 127, np.uint8),
        np.random.default_rng(0).integers(0, 256, (288, 384, 3), np.uint8),
    ],
)
def test_one_colour_or_noise_is_no_picture(image):
    quality = measure_quality(image, np.ones((9, 12), np.float32))
    assert not quality.has_content
    assert quality.flaws == NO_PICTURE


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 3000)])
def test_any_size_is_measured(size):
    assert measure_quality(np.full((*size, 3), 9, np.uint8), np.ones((2, 2), np.float32)).noise == 0
