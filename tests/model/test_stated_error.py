"""The errors that a head states."""

import math

import pytest
import torch

from saliency.attributes import Attribute
from saliency.errors import ConfigError
from saliency.losses import attenuated_loss
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.attributes import AttributeHead
from saliency.model.readout import mean_left_out_error, pool_features, solve_ridge
from saliency.model.stated_error import StatedError
from saliency.types import LOWEST_LOG_VARIANCE, TOP_LOG_VARIANCE

MOOD = Attribute("mood")
KIND = Attribute("kind", classes=("a", "b"))
STATING = Architecture(
    "test_efficientnet", decoder_channels=16, attributes=(MOOD, KIND), heteroscedastic=True
)


def saying(bias: float) -> StatedError:
    error = StatedError(3)
    with torch.no_grad():
        error.bias.fill_(bias)
    return error


@pytest.mark.parametrize("bias", [-1e30, -1e4, -7.0, 0.0, 7.0, 1e4, 1e30])
def test_what_is_stated_stays_within_its_bounds(bias):
    log_variance = saying(bias)(torch.zeros(2, 3))
    assert log_variance.shape == (2,)
    assert (log_variance >= LOWEST_LOG_VARIANCE).all()
    assert (log_variance <= TOP_LOG_VARIANCE).all()


@pytest.mark.parametrize("bias", [-1e6, -1e3, 0.0, 1e3, 1e6])
def test_a_gradient_leads_back_from_any_distance(bias):
    error = saying(bias)
    loss = 10.0 if bias < 0 else 0.0  # where the statement is far too small, or far too large
    attenuated_loss(torch.tensor([loss]), error(torch.zeros(1, 3))).sum().backward()
    slope = error.bias.grad.item()
    assert math.isfinite(slope)
    assert slope < 0 if bias < 0 else slope > 0


@pytest.mark.parametrize("mean", [0.002, 0.04, 1.0, 20.0])
def test_it_starts_at_the_same_statement_for_all(mean):
    error = StatedError(3)
    error.start(mean)
    assert torch.allclose(error(torch.randn(4, 3)).exp(), torch.full((4,), mean), rtol=1e-4)


@pytest.mark.parametrize("mean", [0.0, 1e9])
def test_a_start_beyond_the_bounds_is_inside_them(mean):
    error = StatedError(3)
    error.start(mean)
    error(torch.ones(1, 3)).sum().backward()
    assert error.weight.grad.abs().min() > 1e-3


def test_features_get_no_gradient():
    features = torch.randn(2, 3, requires_grad=True)
    error = StatedError(3)
    torch.nn.init.ones_(error.weight)
    error(features).sum().backward()
    assert features.grad is None
    assert error.weight.grad.any()


def test_planted_noise_is_recognised():
    """Features tell which photos are noisy; the statement learns it from single errors."""
    torch.manual_seed(0)
    noise = torch.tensor([0.1, 0.3, 1.0]).repeat(400)
    features = torch.randn(1200, 6)
    features[:, 2] = noise.log() - noise.log().mean()
    squared = (noise * torch.randn(1200)).square()
    error = StatedError(6)
    error.start(float(squared.mean()))
    optimizer = torch.optim.Adam(error.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        attenuated_loss(squared, error(features)).mean().backward()
        optimizer.step()
    stds = (error(features).detach() / 2).exp()
    means = [float(stds[noise == level].mean()) for level in (0.1, 0.3, 1.0)]
    assert means == pytest.approx([0.1, 0.3, 1.0], rel=0.25)


def test_left_out_errors_in_closed_form_are_those_of_leaving_each_out():
    torch.manual_seed(0)
    x, targets = torch.randn(9, 4).double(), torch.randn(9).double()
    squared = []
    for i in range(9):
        rest = [j for j in range(9) if j != i]
        weights = solve_ridge(x[rest], targets[rest], 2.0)
        squared.append(float((x[i] @ weights - targets[i]).square()))
    assert mean_left_out_error(x, targets, 2.0) == pytest.approx(sum(squared) / 9)


def test_a_fitted_head_states_an_error_as_on_photos_it_was_not_fitted_on():
    generator = torch.Generator().manual_seed(0)
    photos = [torch.randn(160, 3, 4, 6, generator=generator)]
    pooled = pool_features(photos)
    x = (pooled - pooled.mean(dim=0)) / pooled.std(dim=0)
    labels = 0.5 + 0.05 * x[:, 0] + 0.03 * torch.randn(160, generator=generator)
    head = AttributeHead((3,), MOOD, 0.0, heteroscedastic=True)
    head.fit(pooled[:80], labels[:80], ridge=1.0)
    with torch.no_grad():
        values, log_variance = head([photo[80:] for photo in photos])
    made = (values - labels[80:]).square().mean().sqrt().item()
    assert (log_variance / 2).exp().mean().item() == pytest.approx(made, rel=0.3)


def test_classes_state_no_error():
    head = AttributeHead((3,), KIND, 0.0, heteroscedastic=True)
    assert head.error is None
    assert head([torch.randn(2, 3, 4, 6)])[1] is None


def test_a_network_states_the_errors_of_scores_and_scales():
    output = SaliencyNetwork(STATING).eval()(torch.zeros(2, 3, 64, 96))
    assert output.score_log_variance.shape == (2,)
    mood, kind = output.attribute_log_variances
    assert mood.shape == (2,)
    assert kind is None


def test_without_it_nothing_is_stated_and_nothing_is_there():
    network = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16)).eval()
    assert not [name for name in network.state_dict() if "error" in name]
    output = network(torch.zeros(1, 3, 64, 96))
    assert output.score_log_variance is None
    assert output.attribute_log_variances == ()


def test_a_network_with_it_starts_as_one_without_it():
    torch.manual_seed(0)
    plain = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16))
    torch.manual_seed(0)
    stating = SaliencyNetwork(
        Architecture("test_efficientnet", decoder_channels=16, heteroscedastic=True)
    )
    own = stating.state_dict()
    assert all(torch.equal(own[name], value) for name, value in plain.state_dict().items())
    assert own.keys() - plain.state_dict().keys() == {
        "aesthetics.error.weight",
        "aesthetics.error.bias",
    }


def test_without_anything_whose_error_could_be_stated_it_is_refused():
    with pytest.raises(ConfigError, match=r"`heteroscedastic` needs .* Found neither"):
        Architecture(
            "test_efficientnet",
            aesthetics=False,
            guidance=False,
            attributes=(KIND,),
            heteroscedastic=True,
        )


def test_features_are_dropped_the_same_for_the_same_seed():
    network = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16, dropout=0.25))
    kept = network.draw_dropout(40, 3)
    assert torch.equal(kept, network.draw_dropout(40, 3))
    assert not torch.equal(kept, network.draw_dropout(40, 4))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert kept.mean() == pytest.approx(1, abs=0.02)


def test_sampled_logits_are_those_of_the_read_out_with_features_dropped():
    architecture = Architecture("test_efficientnet", decoder_channels=16, dropout=0.3)
    network = SaliencyNetwork(architecture).eval()
    with torch.no_grad():
        output = network(torch.rand(2, 3, 64, 96))
        kept = network.draw_dropout(5, 0)
        sampled = network.sample_score_logits(output, kept)
        for sample in range(5):
            expected = network.aesthetics.logits(output.aesthetic_features * kept[sample])
            assert torch.allclose(sampled[:, sample], expected, atol=1e-5)


def test_nothing_dropped_changes_nothing():
    architecture = Architecture("test_efficientnet", decoder_channels=16, dropout=0.3)
    network = SaliencyNetwork(architecture).eval()
    with torch.no_grad():
        output = network(torch.rand(2, 3, 64, 96))
        kept = torch.ones(3, network.aesthetics.pooled_length)
        sampled = network.sample_score_logits(output, kept)
    assert torch.equal(sampled, output.score_logits[:, None].expand(-1, 3, -1))


@pytest.mark.parametrize("changed", [{"dropout": 0.0}, {"aesthetics": False, "guidance": False}])
def test_without_dropout_or_scores_there_are_no_samples(changed):
    network = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16, **changed))
    with pytest.raises(ConfigError, match=r"trained with model.dropout > 0"):
        network.draw_dropout(4, 0)
