"""The released network's first focal point in a portrait is the face."""

import numpy as np
import pytest
from skimage.data import astronaut

from saliency import Predictor
from saliency.insights import (
    AspectRatio,
    Box,
    measure_regions,
    propose_crops,
    require_density,
    summarize,
)

FACE = Box(165, 60, 125, 130)


@pytest.fixture(scope="module")
def density():
    return require_density(Predictor.load(device="cpu").predict(astronaut()).density)


def test_the_face_outranks_corners_of_its_size(density):
    corners = [Box(0, 382, 125, 130), Box(387, 0, 125, 130), Box(0, 0, 125, 130)]
    regions = measure_regions(density, [*corners, FACE])
    assert regions[-1].rank == 1
    assert regions[-1].share_per_area > 3


def test_the_peak_is_in_the_face(density):
    whole, face = measure_regions(density, [Box(0, 0, 512, 512), FACE])
    assert whole.peak_at == face.peak_at


def test_the_first_focal_point_is_the_face(density):
    first = summarize(density).focal_points[0]
    assert FACE.x < first.x < FACE.x + FACE.width
    assert FACE.y < first.y < FACE.y + FACE.height


@pytest.mark.parametrize("shape", ["1:1", "16:9", "4:5", "9:16"])
def test_the_first_crop_holds_the_face(density, shape):
    box = propose_crops(density, AspectRatio.parse(shape))[0].box
    held = np.zeros((512, 512), bool)
    held[box.pixels] = True
    assert held[FACE.pixels].all()
