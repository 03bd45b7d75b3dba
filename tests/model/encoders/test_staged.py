"""Networks of stages: windows take any size, narrow strided convolutions are safe to train."""

import pytest
import torch
from torch import nn

from saliency.errors import ConfigError
from saliency.model.encoders import build_encoder
from saliency.model.encoders.staged import _thin_out


def test_dropping_pixels_first_gives_the_same_numbers():
    layer = nn.Conv2d(3, 8, 1, stride=2)
    images = torch.randn(2, 3, 9, 12)
    expected = layer(images)
    _thin_out(nn.Sequential(layer))
    torch.testing.assert_close(layer(images), expected)
    assert layer.stride == (1, 1)


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(16, 8, 1, stride=2)])
def test_safe_convolutions_stay_as_they_are(layer):
    _thin_out(nn.Sequential(layer))
    assert layer.stride == (2, 2)


def test_a_head_that_cannot_be_cut_off_is_refused_with_what_may_do():
    with pytest.raises(ConfigError, match=r"efficientvit_b0.*final_features = false"):
        build_encoder("efficientvit_b0", final_features=True)


def test_without_its_head_it_does():
    assert build_encoder("efficientvit_b0").strides == (4, 8, 16, 32)


@pytest.mark.slow
@pytest.mark.parametrize("final_features", [False, True])
def test_windowed_transformers_take_any_size(final_features):
    encoder = build_encoder("swin_tiny_patch4_window7_224", final_features=final_features)
    features = encoder.check_size((96, 160))
    assert tuple(features[-1].shape) == (1, 768, 3, 5)
    assert encoder.strides == (4, 8, 16, 32)
