import pytest
import torch

from saliency.errors import ConfigError
from saliency.model.sharing import CrossStitch, Sluice
from saliency.model.sharing.sluice import overlap


def test_one_subspace_and_even_stages_are_cross_stitch(encoder, images):
    sluice, stitch = Sluice(encoder, 2, subspaces=1).eval(), CrossStitch(encoder, 2).eval()
    torch.manual_seed(3)
    for alpha, matrix in zip(sluice.alphas, stitch.stitches, strict=True):
        torch.nn.init.normal_(alpha)
        matrix.data.copy_(alpha[None])
    found = sluice(encoder, images).by_task
    expected = stitch(encoder, images).by_task
    for own, same in zip(found, expected, strict=True):
        assert all(
            torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(own, same, strict=True)
        )


def test_a_subspace_can_be_shared_and_another_kept(encoder):
    sluice = Sluice(encoder, 2, subspaces=2)
    features = torch.randn(2, 1, 4, 2, 2)  # two tasks, four channels
    shares_first = torch.eye(4)
    shares_first[[0, 2]] = torch.tensor([[0.5, 0, 0.5, 0], [0.5, 0, 0.5, 0]])
    sluice.alphas[0].data.copy_(shares_first)
    mixed = sluice.mix(0, features)
    assert torch.allclose(mixed[:, :, :2], features[:, :, :2].mean(dim=0).expand(2, -1, -1, -1, -1))
    assert torch.allclose(mixed[:, :, 2:], features[:, :, 2:])


def test_beta_weighs_what_a_task_reads_and_not_what_follows(encoder, images):
    sluice = Sluice(encoder, 2).eval()
    before = sluice(encoder, images).by_task
    with torch.no_grad():
        sluice.betas[1, 0] = 0.0
    after = sluice(encoder, images).by_task
    assert not after[0][1].any()
    assert torch.equal(after[1][1], before[1][1])
    assert torch.equal(after[0][2], before[0][2])


def test_orthogonal_subspaces_cost_nothing_and_equal_ones_everything():
    apart = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    equal = torch.tensor([[1.0, 1.0], [3.0, 3.0]])
    assert overlap(apart, 2) == 0
    assert overlap(equal, 2) == pytest.approx(1.0)


def test_the_penalty_is_a_share_and_pulls_filters_apart(encoder):
    sluice = Sluice(encoder, 2)
    penalty = sluice.penalty(encoder, ())
    assert 0 < penalty < 1
    penalty.backward()
    assert encoder.body.conv_head.weight.grad.any()


def test_without_subspaces_there_is_no_penalty(encoder):
    assert Sluice(encoder, 2, subspaces=1).penalty(encoder, ()) is None


def test_subspaces_that_do_not_fit_are_refused_with_those_that_do(encoder):
    with pytest.raises(ConfigError, match=r"Found 7; \[1, 2.*\] do"):
        Sluice(encoder, 2, subspaces=7)
