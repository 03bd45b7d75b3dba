import cv2
import numpy as np
import pytest
import skimage.data

from saliency.distortions import (
    DISTORTIONS,
    NOTICEABLE,
    from_linear,
    to_linear,
)

PHOTO = np.ascontiguousarray(skimage.data.cat()[::2, ::2])
every_kind = pytest.mark.parametrize("name", DISTORTIONS)


def spoil(name, severity, photo=PHOTO):
    return DISTORTIONS[name](photo, severity, np.random.default_rng(0))


def distance(one, other):
    return float(np.abs(one.astype(float) - other).mean())


@every_kind
def test_severity_0_is_the_photo_itself(name):
    np.testing.assert_array_equal(spoil(name, 0), PHOTO)


@every_kind
def test_the_distance_to_the_photo_grows_with_severity(name):
    distances = [distance(spoil(name, severity), PHOTO) for severity in (0.2, 0.4, 0.6, 0.8, 1)]
    assert distances == sorted(distances)
    assert distances[0] < 0.5 * distances[-1]


@every_kind
def test_a_copy_has_the_photos_size_and_leaves_the_photo_alone(name):
    before = PHOTO.copy()
    assert spoil(name, 0.7).shape == PHOTO.shape
    np.testing.assert_array_equal(PHOTO, before)


@every_kind
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 5)])
def test_any_size_can_be_spoilt(name, size):
    photo = np.full((*size, 3), 90, np.uint8)
    assert spoil(name, 1, photo).shape == photo.shape


@pytest.mark.parametrize("name", ["defocus", "motion", "low_resolution"])
def test_a_blur_looks_the_same_at_twice_the_size(name):
    height, width = PHOTO.shape[:2]
    large = cv2.resize(PHOTO, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    shrunk = cv2.resize(spoil(name, 0.8, large), (width, height), interpolation=cv2.INTER_AREA)
    assert distance(shrunk, spoil(name, 0.8)) < 0.3 * distance(spoil(name, 0.8), PHOTO)


def test_defocus_keeps_the_light():
    blurred = to_linear(spoil("defocus", 1)).mean()
    assert blurred == pytest.approx(to_linear(PHOTO).mean(), rel=0.01)


def test_a_stop_of_light_is_a_factor_of_two():
    darker = to_linear(spoil("under_exposure", 0.25)).mean()
    assert darker == pytest.approx(to_linear(PHOTO).mean() / 2, rel=0.02)


def test_every_level_survives_linear_light():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(from_linear(to_linear(levels)), levels)


@every_kind
def test_margins_grow_from_where_people_notice(name):
    distortion = DISTORTIONS[name]
    assert distortion.margin_at(NOTICEABLE) == 0
    assert 0 < distortion.margin_at(0.5) < distortion.margin_at(1) == distortion.margin


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_a_severity_off_the_scale_is_refused(severity):
    with pytest.raises(ValueError, match="`severity` should be in"):
        spoil("noise", severity)
