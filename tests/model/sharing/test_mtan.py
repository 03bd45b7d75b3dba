import pytest
import torch

from saliency.model.encoders import build_encoder
from saliency.model.sharing import HardSharing, Mtan


def set_bias(sharing, value):
    with torch.no_grad():
        for masks in sharing.masks:
            for mask in masks:
                mask[-1].bias.fill_(value)
    return sharing


@pytest.mark.parametrize("name", ["test_efficientnet", "test_convnext", "test_resnet"])
def test_with_open_masks_it_is_hard_sharing(name, images):
    encoder = build_encoder(name).eval()
    found = set_bias(Mtan(encoder, 2).eval(), 100.0)(encoder, images).by_task
    expected = HardSharing(2).eval()(encoder, images).by_task
    for own, same in zip(found, expected, strict=True):
        assert all(torch.allclose(a, b) for a, b in zip(own, same, strict=True))


def test_with_closed_masks_tasks_see_nothing(encoder, images):
    found = set_bias(Mtan(encoder, 2).eval(), -100.0)(encoder, images).by_task
    assert not found[0][-1].any()


def test_tasks_see_different_features_of_one_encoder(encoder, images):
    sharing = Mtan(encoder, 2).eval()
    torch.manual_seed(2)
    for mask in sharing.masks[1]:
        torch.nn.init.normal_(mask[-1].weight)
    one, other = sharing(encoder, images).by_task
    assert not torch.allclose(one[-1], other[-1])
    assert len(sharing.encoders(encoder)) == 1


def test_masks_lie_between_0_and_1(encoder, images):
    sharing = Mtan(encoder, 1).eval()
    for mask in sharing.masks[0]:
        torch.nn.init.normal_(mask[-1].weight)
    seen, whole = sharing(encoder, images).by_task[0][-1], encoder(images)[-1]
    assert (seen.abs() <= whole.abs() + 1e-6).all()


def test_tasks_meet_before_the_masks(encoder, images):
    features = Mtan(encoder, 2).train()(encoder, images)
    for own in features.by_task:
        (gradient,) = torch.autograd.grad(own[-1].sum(), features.measured[-1], retain_graph=True)
        assert gradient.any()
