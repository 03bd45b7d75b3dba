"""The scalar that a step minimises, from outputs and batches."""

import pytest
import torch

from saliency import SaliencyError
from saliency.datasets.sets import build_sets
from saliency.losses import vote_divergence
from saliency.preprocessing import Preprocessing
from saliency.tasks import count_labels, score_error_losses
from saliency.training import objective as module
from saliency.training.building import build_network, build_tasks
from saliency.training.config import TrainingConfig
from saliency.training.data import TrainingLoader
from saliency.training.distributed import World
from saliency.training.objective import Objective

CPU = torch.device("cpu")
EQUAL = "weighting.name=equal"
NO_ANCHOR = "train.feature_anchor=0"


class Brightness:
    """A task that nobody has heard of: the score logits should be bright where images are."""

    name = "brightness"
    likelihood = "regression"
    indicator = "SRCC"

    def present(self, batch):
        return torch.ones(len(batch.images), dtype=torch.bool)

    def losses(self, output, batch):
        return (output.score_logits.mean(dim=1) - batch.images.mean(dim=(1, 2, 3))).square()

    def floors(self, batch):
        return torch.zeros(len(batch.images))


class Case:
    """A network, its objective, and a batch in two parts."""

    def __init__(self, config: TrainingConfig, further=()) -> None:
        torch.manual_seed(0)
        sets = build_sets(config.data, "train", None)
        self.network = build_network(config, None).eval()
        self.tasks = (*build_tasks(config, sets), *further)
        self.objective = Objective(config, self.network, self.tasks, CPU, World())
        mean, std = self.network.encoder.mean, self.network.encoder.std
        loader = TrainingLoader(config, sets, Preprocessing(64, 96, mean, std))
        self.batches = list(next(loader.shares(0)).parts)
        self.outputs = [self.network(b.images, b.dataset_index) for b in self.batches]

    def __call__(self, step=0):
        return self.objective(self.outputs, self.batches, step)


@pytest.fixture
def case(tiny_config):
    return lambda *overrides, further=(): Case(tiny_config(*overrides), further)


def test_the_total_is_the_weighted_sum_of_the_logged_losses(case):
    total, values = case(
        "weighting={name='fixed', weights={saliency=3, aesthetics=5}}", NO_ANCHOR
    )()
    expected = 3 * values["loss/saliency"] + 5 * values["loss/aesthetics"]
    assert float(total.detach()) == values["loss"] == pytest.approx(expected)


def test_normalised_weights_sum_to_the_number_of_tasks(case):
    options = "{name='fixed', weights={saliency=3, aesthetics=5}, normalize=true}"
    total, values = case(f"weighting={options}", NO_ANCHOR)()
    expected = 0.75 * values["loss/saliency"] + 1.25 * values["loss/aesthetics"]
    assert float(total.detach()) == pytest.approx(expected)


@pytest.mark.parametrize(
    "extra",
    [
        "model.dropout=0",
        "model.heteroscedastic=true",
        "weighting={name='uncertainty', noise='answers'}",
    ],
)
def test_parts_give_what_the_whole_gives(case, extra):
    whole, parts = (case(EQUAL, extra, f"train.accumulate={n}") for n in (1, 3))
    assert len(parts.batches) == 3
    (total, values), (other_total, other_values) = whole(), parts()
    # Six images in another order of float32 sums: some units in the seventh digit.
    assert other_values == pytest.approx(values, rel=1e-5, abs=1e-6)
    total.backward()
    other_total.backward()
    one, other = (
        [p.grad.flatten() for p in found.network.parameters() if p.grad is not None]
        for found in (whole, parts)
    )
    one, other = torch.cat(one), torch.cat(other)
    assert (one - other).norm() < 1e-4 * one.norm()


def test_it_takes_a_task_that_it_has_never_heard_of(case):
    found = case(EQUAL, NO_ANCHOR, further=(Brightness(),))
    total, values = found()
    losses = [values[f"loss/{name}"] for name in ("saliency", "aesthetics", "brightness")]
    assert float(total.detach()) == pytest.approx(sum(losses) / 3)


def test_a_task_without_labels_is_neither_added_nor_logged(case):
    found = case(EQUAL, NO_ANCHOR, "train.rated_per_batch=1")
    batch = found.batches[0]
    batch.has_rating[:] = False
    total, values = found()
    assert "loss/aesthetics" not in values
    assert float(total.detach()) == pytest.approx(values["loss/saliency"] / 2)


def test_stated_errors_have_no_weight(case):
    overrides = (EQUAL, "model.heteroscedastic=true", NO_ANCHOR)
    found = case(*overrides)
    total, values = found()
    (output,), (batch,) = found.outputs, found.batches
    error = score_error_losses(output, batch)[batch.has_rating].mean()
    assert values["score_error"] == pytest.approx(float(error.detach()))
    mean = (values["loss/saliency"] + values["loss/aesthetics"]) / 2
    assert float(total.detach()) == pytest.approx(mean + values["score_error"])


def test_uncertainty_of_answers_hears_how_much_people_disagree(case):
    a_case = case("weighting.name=uncertainty", "weighting.noise=answers", NO_ANCHOR)
    _, values = a_case()
    noise = values["loss/aesthetics"] + values["floor/aesthetics"]
    looked_at, rated = count_labels(a_case.tasks, a_case.batches).tolist()
    share = rated / ((rated + looked_at) / 2)
    assert values["weight/aesthetics"] == pytest.approx(share / (2 * noise), rel=1e-5)
    assert "floor/saliency" in values


def test_no_other_strategy_is_told_the_floors(case):
    _, values = case(EQUAL, NO_ANCHOR)()
    assert not any(name.startswith("floor/") for name in values)


def test_scores_may_be_learned_by_the_likelihood_of_votes(case):
    a_case = case(EQUAL, NO_ANCHOR, "train.score_loss=likelihood")
    _, values = a_case()
    batch, output = a_case.batches[0], a_case.outputs[0]
    expected = vote_divergence(output.score_logits, batch.score_distribution)[batch.has_rating]
    assert values["loss/aesthetics"] == pytest.approx(expected.mean().item(), rel=1e-5)


def test_the_anchor_and_the_penalty_count_as_often_as_the_config_says(case):
    overrides = (EQUAL, "sharing={name='joint_feature', strength=2}", "train.feature_anchor=3")
    found = case(*overrides)
    with torch.no_grad():
        for parameter in found.network.encoder.parameters():
            parameter.mul_(1.1)
    found.outputs = [found.network(b.images, b.dataset_index) for b in found.batches]
    total, values = found()
    assert values["feature_drift"] > 0
    mean = (values["loss/saliency"] + values["loss/aesthetics"]) / 2
    extra = 3 * values["feature_drift"] + 2 * values["penalty"]
    assert float(total.detach()) == pytest.approx(mean + extra)


def test_gradients_are_compared_now_and_then(case, monkeypatch):
    monkeypatch.setattr(module, "COSINE_EVERY", 3)
    logged = ["cosine/saliency~aesthetics" in case(EQUAL)(step)[1] for step in range(3)]
    assert logged == [False, False, True]


def test_a_loss_that_is_not_finite_is_refused_with_the_step(case):
    found = case(EQUAL)
    found.outputs = [o._replace(score_logits=o.score_logits * torch.nan) for o in found.outputs]
    with pytest.raises(SaliencyError, match="at step 7; lower the learning rates"):
        found(7)
