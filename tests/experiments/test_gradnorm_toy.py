"""The toy problem is the paper's, and training side by side is training one by one."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from saliency.experiments.gradnorm_toy import (
    STRATEGIES,
    Balance,
    History,
    Networks,
    Problem,
    Setup,
    fixed_config,
    strategy_config,
    train,
)

# In float32, what is equal in exact numbers ends 1e-4 apart or more.
pytestmark = pytest.mark.usefixtures("in_float64")

SMALL = Setup((1.0, 30.0, 100.0), steps=12, epoch_steps=4, batch=8, held_out=16)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class PlainNetwork(nn.Module):
    """One network of ordinary layers with the initial weights of `Networks`."""

    def __init__(self, networks):
        super().__init__()
        self.trunk = nn.ModuleList(map(self.linear, networks.trunk))
        self.heads = nn.ModuleList(map(self.linear, networks.heads))

    @staticmethod
    def linear(affine):
        layer = nn.Linear(affine.weight.shape[1], affine.weight.shape[2])
        layer.weight.data = affine.weight.data[0].T.clone()
        layer.bias.data = affine.bias.data[0, 0].clone()
        return layer

    def forward(self, x):
        for layer in self.trunk:
            x = layer(x).relu()
        return x, [head(x) for head in self.heads]


def train_plainly(setup, seed, name):
    """Train one network with one strategy on its real graph; return test losses and weights."""
    random = generator(seed)
    problem = Problem(setup, random)
    network = PlainNetwork(Networks(1, len(setup.sigmas), random))
    prior = [float(y.var(dim=0, unbiased=False).mean()) for y in problem.validation.y]
    prior = [value / setup.loss_unit for value in prior]
    weighting = Balance(setup, [strategy_config(name, setup)], prior).weightings[0]
    learned = list(weighting.parameters())
    optimizers = [torch.optim.Adam(network.parameters(), lr=setup.lr)]
    if learned:
        optimizers.append(torch.optim.AdamW(learned, lr=setup.weighting_lr, weight_decay=0))

    def losses_of(examples):
        hidden, outputs = network(examples.x)
        pairs = zip(outputs, examples.y, strict=True)
        return hidden, [nn.functional.mse_loss(out, y) / setup.loss_unit for out, y in pairs]

    def held_out(examples):
        return np.array([float(loss.detach()) for loss in losses_of(examples)[1]])

    validation_start, test_start = held_out(problem.validation), held_out(problem.test)
    losses, weights = [np.ones(len(setup.sigmas))], []
    for _ in range(setup.epochs):
        seen, given = [], []
        for _ in range(setup.epoch_steps):
            hidden, now = losses_of(problem.draw(setup.batch))
            shared = {"nothing": (), "features": (hidden,)}.get(
                weighting.needs, (network.trunk[-1].weight,)
            )
            total = weighting(now, [True] * len(now), shared)
            total = total * len(now) / weighting.current.sum()
            given.append(weighting.normalized.numpy())
            seen.append([float(loss.detach()) for loss in now])
            for optimizer in optimizers:
                optimizer.zero_grad()
            total.backward()
            for optimizer in optimizers:
                optimizer.step()
        weighting.end_epoch(np.mean(seen, axis=0).tolist())
        learned_share = 1 - held_out(problem.validation) / validation_start
        weighting.observe(learned_share.clip(min=0).tolist())
        losses.append(held_out(problem.test) / test_start)
        weights.append(np.mean(given, axis=0))
    return np.stack(losses), np.stack(weights)


@pytest.fixture(scope="module")
def together():
    """All strategies, trained side by side."""
    return train(SMALL, 5, [strategy_config(name, SMALL) for name in STRATEGIES])


@pytest.mark.parametrize("name", STRATEGIES)
def test_side_by_side_equals_one_by_one_on_the_real_graph(together, name):
    losses, weights = train_plainly(SMALL, 5, name)
    run = STRATEGIES.index(name)
    # Sums in another order differ by 1e-16, and twelve steps magnify that some thousandfold.
    np.testing.assert_allclose(together.losses[:, run], losses, rtol=1e-10)
    np.testing.assert_allclose(together.weights[:, run], weights, rtol=1e-6)  # kept in float32


def test_no_two_strategies_are_the_same(together):
    for one, other in combinations(range(len(STRATEGIES)), 2):
        ends = together.losses[-1, one], together.losses[-1, other]
        assert not np.allclose(*ends, rtol=1e-6), (STRATEGIES[one], STRATEGIES[other])


def test_scores_start_at_the_number_of_tasks(together):
    assert together.steps.tolist() == [0, 4, 8, 12]
    assert together.scores[0] == pytest.approx(np.full(len(STRATEGIES), 3.0))


def test_weights_sum_to_the_number_of_tasks(together):
    assert together.weights.sum(axis=2) == pytest.approx(np.full((3, len(STRATEGIES)), 3.0))


def test_a_seed_gives_the_same_again_and_another_seed_does_not():
    config = [strategy_config("equal", SMALL)]
    once, again, other = (train(SMALL, seed, config).losses for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert not np.allclose(once[-1], other[-1])


def test_the_argument_of_tanh_has_unit_variance_by_default():
    problem = Problem(Setup((1.0,), held_out=500), generator())
    argument = problem.test.y.double().clamp(-1 + 1e-7, 1 - 1e-7).atanh()
    assert float(argument.std()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("law", "share"), [("deviations", 0.987), ("variances", 0.963)])
def test_to_the_letter_tanh_saturates(law, share):
    # |tanh u| > .99 beyond |u| = 2.647; u has deviation sqrt(250 * 112.25) or sqrt(250 * 13.5)
    assert Problem(Setup((1.0,), law), generator()).saturated == pytest.approx(share, abs=0.005)


def test_outputs_have_their_tasks_scale_and_share_information():
    y = Problem(Setup((1.0, 100.0), held_out=500), generator()).test.y.double()
    small, large = y[0].flatten(), y[1].flatten() / 100
    assert float(large.std() / small.std()) == pytest.approx(1, abs=0.05)
    # arguments correlate by 100 / 112.25 = .89
    correlation = float(torch.corrcoef(torch.stack([small.atanh(), large.atanh()]))[0, 1])
    assert correlation == pytest.approx(0.89, abs=0.03)


def test_fixed_weights_are_rescaled_to_the_number_of_tasks():
    assert fixed_config(SMALL, [1.0, 1.0, 2.0]).weights == {
        "sigma 1": 0.75,
        "sigma 30": 0.75,
        "sigma 100": 1.5,
    }


def test_fixed_divides_by_the_outputs_variance():
    fixed = strategy_config("fixed", SMALL).weights
    assert fixed["sigma 1"] / fixed["sigma 100"] == pytest.approx(100**2)


def test_the_final_score_is_the_mean_over_the_last_tenth():
    losses = np.arange(21.0)[:, None, None] * np.ones((1, 1, 2))
    history = History(np.arange(21), losses, np.ones((20, 1, 2)))
    assert history.final == pytest.approx([2 * 19.5])


def test_an_epoch_is_announced_when_it_is_over():
    announced = []
    train(SMALL, 0, [strategy_config("equal", SMALL)], lambda: announced.append(1))
    assert len(announced) == SMALL.epochs == 3
