import copy

import pytest
import torch

from saliency.errors import ConfigError
from saliency.model.encoders import build_encoder
from saliency.model.sharing import CrossStitch


def moved_apart(sharing):
    """Give the second task's encoder other weights."""
    torch.manual_seed(5)
    for parameter in sharing.others[0].parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return sharing


def set_all(sharing, matrix):
    with torch.no_grad():
        for stitch in sharing.stitches:
            stitch.copy_(torch.tensor(matrix))
    return sharing


@pytest.mark.parametrize("per_channel", [False, True])
def test_at_identity_each_task_has_its_own_network(encoder, images, per_channel):
    sharing = moved_apart(CrossStitch(encoder, 2, per_channel=per_channel).eval())
    found = set_all(sharing, [[1.0, 0.0], [0.0, 1.0]])(encoder, images).by_task
    for own, alone in zip(found, (encoder, sharing.others[0]), strict=True):
        for feature, expected in zip(own, alone(images), strict=True):
            assert torch.allclose(feature, expected, atol=1e-4)


@pytest.mark.parametrize("per_channel", [False, True])
def test_at_one_half_the_features_are_averaged(encoder, images, per_channel):
    sharing = moved_apart(CrossStitch(encoder, 2, per_channel=per_channel).eval())
    one, other = set_all(sharing, [[0.5, 0.5], [0.5, 0.5]])(encoder, images).by_task
    stages = encoder.stages()[0], sharing.others[0].stages()[0]
    mean = (stages[0](images) + stages[1](images)) / 2
    assert torch.allclose(one[0], mean, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_at_the_start_tasks_have_what_the_encoder_gives(encoder, images):
    found = CrossStitch(encoder, 3).eval()(encoder, images).by_task
    for own in found:
        for feature, expected in zip(own, encoder(images), strict=True):
            assert torch.allclose(feature, expected, atol=1e-4)


def test_each_task_trains_every_encoder_and_the_matrices(encoder, images):
    sharing = CrossStitch(encoder.train(), 2).train()
    sharing(encoder, images).by_task[0][-1].sum().backward()
    assert encoder.body.conv_stem.weight.grad.any()
    assert sharing.others[0].body.conv_stem.weight.grad.any()
    assert all(stitch.grad.any() for stitch in sharing.stitches)


def test_the_matrices_are_what_mixes_and_the_encoders_what_is_shared(encoder):
    sharing = CrossStitch(encoder, 2)
    mixing = {id(p) for p in sharing.mixing_parameters()}
    assert mixing == {id(p) for p in sharing.stitches}
    shared = {id(p) for p in sharing.encoder_parameters(encoder)}
    assert len(shared) == 2 * sum(p.requires_grad for p in encoder.parameters())
    assert not mixing & shared


def test_a_copy_of_both_runs_on_its_own_layers(encoder, images):
    copied_encoder, copied = copy.deepcopy((encoder, CrossStitch(encoder, 2).eval()))
    before = copied(copied_encoder, images).by_task[0][-1]
    with torch.no_grad():
        encoder.body.conv_stem.weight.zero_()
    assert torch.equal(copied(copied_encoder, images).by_task[0][-1], before)


def test_an_encoder_without_stages_is_refused():
    whole = build_encoder("test_convnext", final_features=True)
    with pytest.raises(ConfigError, match="stage by stage"):
        CrossStitch(whole, 2)


def test_what_was_learned_is_a_matrix_a_stage(encoder):
    matrices = CrossStitch(encoder, 2, per_channel=True).describe()["stitches"]
    assert len(matrices) == len(encoder.channels)
    assert torch.allclose(torch.tensor(matrices[0]), torch.tensor([[0.9, 0.1], [0.1, 0.9]]))
