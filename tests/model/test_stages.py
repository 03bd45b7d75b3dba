import pytest
import torch

from saliency.errors import ConfigError
from saliency.model.encoders import build_encoder
from saliency.model.stages import run_stages


@pytest.mark.parametrize(
    ("name", "final"),
    [
        ("test_efficientnet", False),
        ("test_efficientnet", True),
        ("test_convnext", False),
        ("test_resnet", False),
    ],
)
def test_stages_one_after_the_other_are_the_encoder(name, final):
    encoder = build_encoder(name, final_features=final).eval()
    images = torch.randn(2, 3, 64, 96)
    cut = run_stages(encoder.stages(), images)
    whole = encoder(images)
    assert len(cut) == len(whole) == len(encoder.channels)
    for feature, same in zip(whole, cut, strict=True):
        assert torch.allclose(feature, same, atol=1e-5)


def test_stages_hold_the_encoders_own_layers():
    encoder = build_encoder("test_efficientnet", final_features=True)
    own = {id(p) for p in encoder.parameters()}
    assert {id(p) for stage in encoder.stages() for p in stage.parameters()} == own


def test_asking_for_stages_does_not_end_training():
    encoder = build_encoder("test_efficientnet")
    encoder.stages()
    assert encoder.training


@pytest.mark.parametrize(
    ("name", "final"), [("test_convnext", True), ("mobilenetv3_small_050", False)]
)
def test_other_encoders_are_refused_with_those_that_can(name, final):
    with pytest.raises(ConfigError, match=rf"tf_efficientnet_lite0.*Found '{name}'"):
        build_encoder(name, final_features=final).stages()
