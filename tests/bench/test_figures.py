import numpy as np
import pytest
import torch

from saliency import Card, Checkpoint
from saliency.attributes import Attribute
from saliency.bench.eager import eager_predictor
from saliency.bench.figures import (
    decode_with_pillow,
    find_reduction,
    photo_figures,
)
from saliency.bench.photos import make_photo
from saliency.devices import Device
from saliency.images import read_image
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def eager():
    torch.manual_seed(0)
    network = SaliencyNetwork(
        Architecture(
            "test_efficientnet", decoder_channels=16, attributes=(Attribute("mood", 1, 7),)
        )
    )
    preprocessing = Preprocessing(96, 128, network.encoder.mean, network.encoder.std)
    return eager_predictor(Checkpoint(network, preprocessing, Card()), Device("cpu"))


def find_bare(predictor, photo):
    """The pictures of the bare decodes by their names."""
    figures = photo_figures(predictor, photo)
    return {f.label.stage: f.call() for f in figures if f.label.stage.startswith("bare")}


def test_the_reference_knows_attributes_too(eager):
    [mood] = eager.predict(np.zeros((60, 90, 3), np.uint8)).attributes

    assert 1 <= mood.value <= 7


@pytest.mark.parametrize(
    ("size", "factor"),
    [((480, 640), 1), ((576, 768), 2), ((1224, 1632), 4), ((3000, 4000), 8), ((90, 90), 1)],
)
def test_reduction_keeps_the_pixels_that_are_needed(size, factor):
    assert find_reduction(size, 288) == factor


def test_bare_decodes_are_of_the_same_picture(eager):
    photo = make_photo(0.3)
    whole = read_image(photo.jpeg).mean()

    found = find_bare(eager, photo)

    assert len(found) == 4
    for pixels in found.values():
        assert min(pixels.shape[:2]) >= 96
        assert pixels.mean() == pytest.approx(whole, abs=2)
    assert found["bare scaled opencv"].shape == found["bare scaled pillow"].shape == (120, 160, 3)


def test_small_photo_has_no_scaled_decode(eager):
    assert list(find_bare(eager, make_photo(0.02))) == ["bare whole pillow", "bare whole opencv"]


def test_bare_decode_is_what_read_image_reads():
    jpeg = make_photo(0.3).jpeg

    assert np.array_equal(decode_with_pillow(jpeg), read_image(jpeg))
