import subprocess
import sys
from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest

from saliency.datasets.augmentation import STRETCH, Augmentation, _CropToSize
from saliency.fixations import to_density
from saliency.types import Fixations, Sample

SIZE = (96, 128)


@pytest.fixture
def dotted() -> Sample:
    """Black, with a white disc around each fixation."""
    # Centres of pixels, where a density has its peak exactly.
    points = Fixations(
        np.array([70.5, 150.5, 240.5], np.float32), np.array([60.5, 170.5, 110.5], np.float32)
    )
    image = np.zeros((233, 311, 3), np.uint8)
    for x, y in zip(*points, strict=True):
        # cv2 counts from the pixel's centre, in sixteenths here; points from the frame's edge.
        center = round((x - 0.5) * 16), round((y - 0.5) * 16)
        cv2.circle(image, center, 6 * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
    return Sample(image, "dots", "0", points, to_density(points, image.shape[:2], sigma_px=4))


def locate(values: np.ndarray, near: tuple[float, float], radius: int = 9) -> tuple[float, float]:
    """Return the centre of mass of `values` around a point, in pixels from the frame's edge."""
    ys, xs = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    weights = values * (np.hypot(xs - near[0], ys - near[1]) < radius)
    return (
        float((weights * xs).sum() / weights.sum()),
        float((weights * ys).sum() / weights.sum()),
    )


@pytest.mark.parametrize("size", [(96, 128), (300, 400), (233, 311), (128, 96)])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_dot_stays_under_its_fixation(dotted, size, flip):
    augmentation = Augmentation(size, flip_probability=flip, color=False)
    checked = 0
    for seed in range(12):
        sample = augmentation(dotted, seed)
        assert sample.image.shape == (*size, 3)
        for x, y in zip(*sample.fixations, strict=True):
            if not (10 < x < size[1] - 10 and 10 < y < size[0] - 10):
                continue  # a disc that is cut off has its centre of mass elsewhere
            checked += 1
            for values in (sample.image[..., 0].astype(float), sample.density):
                assert locate(values, (x, y)) == pytest.approx((x, y), abs=0.25)
    assert checked > 12


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (300, 900)])
@pytest.mark.parametrize("size", [(96, 96), (64, 160), (128, 96)])
def test_a_crop_for_another_size_is_hardly_stretched(size, shape):
    crop = _CropToSize(size, (0.7, 1.0), (0.85, 1.18))
    for share, stretch in product((0.7, 1.0), (0.85, 1.0, 1.18)):
        height, width = crop.crop_size(*shape, share, stretch)
        assert 1 / STRETCH - 1e-9 < (width / height) / (size[1] / size[0]) < STRETCH + 1e-9
        assert height <= shape[0] + 1e-9
        assert width <= shape[1] + 1e-9


@pytest.mark.parametrize("as_a_whole", [False, True])
@pytest.mark.parametrize("size", [(96, 96), (64, 160), (128, 96)])
def test_a_sample_has_the_size_of_its_batch(dotted, size, as_a_whole):
    augmentation = Augmentation(SIZE, follows_size=True)
    sample = augmentation(dotted, 0, as_a_whole=as_a_whole, size=size)
    assert sample.image.shape == (*size, 3)
    assert sample.density.shape == size
    assert augmentation(dotted, 0).image.shape == (*SIZE, 3)


@pytest.mark.parametrize("x", [0.0, 0.4, 310.99])
def test_a_flip_mirrors_points_at_the_very_edge(dotted, x):
    sample = replace(dotted, fixations=Fixations(np.float32([x]), np.float32([100.2])))
    flip = Augmentation((233, 311), crop_scale=(1, 1), crop_ratio=(1, 1), flip_probability=1)
    (mirrored,) = flip(sample, 0).fixations.xs
    assert mirrored == pytest.approx(311 - x, abs=1e-3)
    assert 0 <= mirrored < 311


def test_points_outside_the_crop_vanish_and_the_rest_fits_the_frame(dotted):
    rng = np.random.default_rng(0)
    many = Fixations(rng.uniform(0, 311, 500).astype("f4"), rng.uniform(0, 233, 500).astype("f4"))
    density = to_density(many, (233, 311))
    sample = Augmentation(SIZE, crop_scale=(0.5, 0.5), crop_ratio=(1, 1))(
        replace(dotted, fixations=many, density=density), 3
    )
    assert 180 < len(sample.fixations.xs) < 320
    assert sample.fixations.xs.max() < SIZE[1]
    assert sample.fixations.xs.dtype == np.float32


def test_the_density_is_one_again(dotted):
    for seed in range(5):
        density = Augmentation(SIZE, crop_scale=(0.3, 0.6))(dotted, seed).density
        assert density.sum() == pytest.approx(1, abs=1e-5)
        assert density.dtype == np.float32


def test_a_crop_that_loses_what_people_looked_at_is_not_taken(dotted):
    density = np.zeros((233, 311), np.float32)
    density[0, 0] = 1
    sample = replace(dotted, density=density, fixations=None)
    augmentation = Augmentation(SIZE, crop_scale=(0.1, 0.2), flip_probability=0, color=False)
    whole = cv2.resize(dotted.image, SIZE[::-1], interpolation=cv2.INTER_AREA)
    assert all(np.array_equal(augmentation(sample, seed).image, whole) for seed in range(5))


def test_the_same_seed_gives_the_same_sample(dotted):
    augmentation = Augmentation(SIZE)
    first = augmentation(dotted, 7)
    augmentation(dotted, 8)
    again = augmentation(dotted, 7)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.density, again.density)
    assert np.array_equal(first.image, Augmentation(SIZE)(dotted, 7).image)


def test_flip_crop_and_colour_are_drawn_independently(dotted):
    # One seed for every transform, as albumentations' own seeding gives, would tie them together.
    grey = np.full((100, 100, 3), 128, np.uint8)
    grey[:, :50] = 0
    sample = Sample(grey, "halves", "0")
    augmentation = Augmentation((32, 32), crop_scale=(1, 1), crop_ratio=(1, 1))
    outcomes = [augmentation(sample, seed).image for seed in range(60)]
    flipped = [image[0, -1].max() < 40 for image in outcomes]
    colored = [not np.isin(image, (0, 128)).all() for image in outcomes]
    both = sum(f and c for f, c in zip(flipped, colored, strict=True))
    assert 15 < sum(flipped) < 45
    assert both < sum(flipped)  # some that are flipped keep their colours
    assert both < sum(colored)


def test_rated_images_keep_colours_and_frame(dotted):
    rated = replace(dotted, score_distribution=np.full(10, 0.1, np.float32))
    whole = cv2.resize(dotted.image, SIZE[::-1], interpolation=cv2.INTER_AREA)
    for seed in range(8):
        image = Augmentation(SIZE)(rated, seed).image
        assert np.array_equal(image, whole) or np.array_equal(image, whole[:, ::-1])


def test_a_mild_crop_of_rated_images_can_be_asked_for(dotted):
    rated = replace(dotted, score_distribution=np.full(10, 0.1, np.float32))
    augmentation = Augmentation(SIZE, flip_probability=0, rated_crop_scale=(0.8, 0.8))
    assert not np.array_equal(augmentation(rated, 0).image, augmentation(rated, 1).image)


def test_absent_labels_stay_absent(dotted):
    sample = Augmentation(SIZE)(Sample(dotted.image, "none", "0"), 0)
    assert sample.fixations is None
    assert sample.density is None
    assert sample.score_distribution is None


def test_no_fixation_at_all_is_no_trouble(dotted):
    none = Fixations(np.empty(0, np.float32), np.empty(0, np.float32))
    assert len(Augmentation(SIZE)(replace(dotted, fixations=none), 0).fixations.xs) == 0


def test_the_original_is_left_alone(dotted):
    image, density = dotted.image.copy(), dotted.density.copy()
    Augmentation(dotted.image.shape[:2])(dotted, 0)
    assert np.array_equal(dotted.image, image)
    assert np.array_equal(dotted.density, density)


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2)])
def test_tiny_and_extreme_images_pass(shape):
    sample = Sample(np.zeros((*shape, 3), np.uint8), "odd", "0")
    assert Augmentation(SIZE)(sample, 0).image.shape == (*SIZE, 3)


@pytest.mark.slow
def test_other_modules_do_not_import_albumentations():
    code = "import sys, saliency.datasets; sys.exit('albumentations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
