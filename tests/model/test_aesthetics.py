"""The aesthetic head pools by hand-checked moments and starts at ridge regression."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from saliency.model.aesthetics import AestheticHead, pool_where
from saliency.model.readout import pool_features
from saliency.types import SCORE_BINS, SCORES


def head(features: int = 20, dropout: float = 0.0) -> AestheticHead:
    torch.manual_seed(0)  # by chance all rectified units of the embedding may start at 0
    return AestheticHead([features // 2], 4, dropout)


def score(logits: Tensor) -> Tensor:
    return logits.double().softmax(dim=1) @ torch.from_numpy(SCORES)


@pytest.fixture(scope="module")
def rated() -> tuple[Tensor, Tensor]:
    """Return pooled features (60, 20) on odd scales, and votes (60, K) that follow them."""
    rng = np.random.default_rng(0)
    pooled = rng.normal(3, 1, (60, 20)) * np.logspace(-2, 2, 20)
    standard = (pooled - pooled.mean(0)) / pooled.std(0)
    mean = 5.5 + standard @ rng.normal(0, 0.06, 20) + rng.normal(0, 0.1, 60)
    votes = np.exp(-((SCORES - mean[:, None]) ** 2) / (2 * 1.5**2))
    votes /= votes.sum(axis=1, keepdims=True)
    return torch.from_numpy(pooled).float(), torch.from_numpy(votes).float()


@torch.no_grad()
def logits_of(fitted: AestheticHead, pooled: Tensor) -> Tensor:
    return fitted.logits((pooled - fitted.feature_mean) / fitted.feature_std)


def ridge_scores(pooled: Tensor, votes: Tensor, ridge: float) -> Tensor:
    x = ((pooled - pooled.mean(0)) / pooled.std(0)).double().numpy()
    y = votes.double().numpy() @ SCORES
    return torch.from_numpy(Ridge(alpha=ridge).fit(x, y).predict(x))


def test_pooling_gives_two_moments_a_channel():
    assert pool_features([torch.randn(3, 4, 5, 6), torch.randn(3, 7, 2, 3)]).shape == (3, 22)


def test_moments_by_hand():
    feature = torch.tensor([[[[1.0, 3.0]], [[2.0, 2.0]]]])  # two channels of 1 x 2 pixels
    expected = torch.tensor([[2.0, 2.0, 1.0, 0.0]])  # both means, then both standard deviations
    torch.testing.assert_close(pool_features([feature]), expected, rtol=0, atol=2e-3)


def test_a_constant_channel_has_a_finite_gradient():
    feature = torch.ones(1, 1, 4, 4, requires_grad=True)
    pool_features([feature]).sum().backward()
    assert feature.grad is not None
    assert feature.grad.isfinite().all()


def test_pooling_does_not_depend_on_the_size_of_the_map():
    small = torch.randn(1, 3, 4, 6)
    large = small.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    torch.testing.assert_close(pool_features([small]), pool_features([large]))


def test_outputs_are_k_logits_and_the_embedding():
    network = head()
    logits, embedding, pooled, _ = network([torch.randn(3, 10, 4, 5)])
    assert (logits.shape, embedding.shape) == ((3, 10), (3, network.embedding_length))
    assert pooled.shape == (3, 20)


def test_the_embedding_holds_the_predicted_score_distribution():
    logits, embedding, *_ = head()([torch.randn(3, 10, 4, 5)])
    assert torch.equal(embedding[:, :SCORE_BINS], logits.softmax(dim=1))


def test_the_embedding_reaches_features_and_logits():
    network, feature = head(), torch.randn(3, 10, 4, 5, requires_grad=True)
    network([feature])[1].square().sum().backward()
    assert feature.grad is not None
    assert network.logits.weight.grad is not None


def test_a_stopped_embedding_reaches_neither_features_nor_logits():
    network, feature = head(), torch.randn(3, 10, 4, 5, requires_grad=True)
    network([feature], stop_embedding_gradient=True)[1].square().sum().backward()
    assert feature.grad is None
    assert network.logits.weight.grad is None


def test_a_stopped_embedding_still_learns_its_own_read_out():
    network = head()
    network([torch.randn(3, 10, 4, 5)], stop_embedding_gradient=True)[1].square().sum().backward()
    assert network.embedding.weight.grad is not None
    assert network.embedding.weight.grad.any()


def test_a_stopped_embedding_leaves_the_gradient_of_the_scores():
    network, feature = head(), torch.randn(3, 10, 4, 5, requires_grad=True)
    network([feature], stop_embedding_gradient=True)[0].square().sum().backward()
    assert feature.grad is not None
    assert network.logits.weight.grad is not None


def test_dropout_is_for_training_only():
    network, features = head(dropout=0.5).eval(), [torch.randn(3, 10, 4, 5)]
    assert torch.equal(network(features)[0], network(features)[0])


@pytest.mark.parametrize("ridge", [1.0, 100.0])
def test_fitted_scores_are_those_of_ridge_regression(ridge, rated):
    fitted = head()
    fitted.fit(*rated, ridge=ridge)
    ours, theirs = score(logits_of(fitted, rated[0])), ridge_scores(*rated, ridge)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99


def test_near_the_mean_fitted_scores_are_ridge_scores_to_the_hundredth(rated):
    fitted = head()
    fitted.fit(*rated, ridge=1.0)
    theirs = ridge_scores(*rated, 1.0)
    near = (theirs - theirs.mean()).abs() < 0.2
    assert near.sum() >= 10
    assert (score(logits_of(fitted, rated[0])) - theirs)[near].abs().max() < 0.02


def test_the_mean_feature_gets_the_mean_votes(rated):
    pooled, votes = rated
    fitted = head()
    fitted.fit(pooled, votes, ridge=1.0)
    distribution = logits_of(fitted, pooled.mean(dim=0, keepdim=True)).softmax(dim=1)
    torch.testing.assert_close(distribution[0], votes.mean(dim=0), rtol=0, atol=1e-3)


def test_a_ridge_without_end_leaves_only_the_mean(rated):
    fitted = head()
    fitted.fit(*rated, ridge=1e12)
    assert float(score(logits_of(fitted, rated[0])).std()) < 1e-4


def test_fit_standardises_its_features(rated):
    fitted = head()
    fitted.fit(*rated, ridge=1.0)
    x = (rated[0] - fitted.feature_mean) / fitted.feature_std
    torch.testing.assert_close(x.std(dim=0)[10:], torch.ones(10))


def test_a_feature_that_never_varies_stays_finite(rated):
    pooled = rated[0].clone()
    pooled[:, 0] = 7.0
    fitted = head()
    fitted.fit(pooled, rated[1], ridge=1.0)
    assert logits_of(fitted, pooled).isfinite().all()


def test_a_score_that_nobody_gave_stays_finite(rated):
    votes = rated[1].clone()
    votes[:, 0] = 0.0
    fitted = head()
    fitted.fit(rated[0], votes / votes.sum(dim=1, keepdim=True), ridge=1.0)
    assert logits_of(fitted, rated[0]).isfinite().all()


def test_fit_leaves_the_read_out_trainable(rated):
    fitted = head()
    fitted.fit(*rated, ridge=1.0)
    assert fitted.logits.weight.requires_grad


def test_standardisation_is_saved_but_not_trained():
    network = head()
    assert "feature_mean" in network.state_dict()
    assert "feature_mean" not in dict(network.named_parameters())


def test_pooling_where_people_look_takes_the_feature_there():
    feature = torch.zeros(1, 2, 4, 4)
    feature[0, :, 1, 3] = torch.tensor([5.0, 7.0])
    density = torch.zeros(1, 8, 8)
    density[0, 2:4, 6:8] = 0.25
    torch.testing.assert_close(pool_where([feature], density), torch.tensor([[5.0, 7.0]]))


def test_pooling_by_an_even_density_is_the_mean():
    feature = torch.rand(2, 3, 4, 6)
    even = torch.full((2, 8, 12), 1 / 96)
    torch.testing.assert_close(pool_where([feature], even), feature.mean(dim=(2, 3)))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_mixed_logits_are_the_mean_of_both_heads(share, rated):
    pooled, votes = rated
    one, other = head(), head()
    one.fit(pooled, votes, 10.0)
    other.fit(2 * pooled[::2] + 1, votes[::2].flip(1), 1.0)  # standardised in another way
    before, others = logits_of(one, pooled), logits_of(other, pooled)
    one.mix(other, share)
    torch.testing.assert_close(logits_of(one, pooled), before.lerp(others, share))
