"""Training with stated errors: it adds layers and leaves the rest unchanged."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from saliency import Predictor, load_checkpoint
from saliency.datasets.sets import build_sets
from saliency.evaluation import evaluate
from saliency.tasks import AttributeTask, score_error_losses
from saliency.training.balancing import constant_losses
from saliency.training.building import build_network, build_tasks
from saliency.training.data import PlainBatches
from saliency.training.loop import train
from saliency.training.optimization import build_optimizer
from saliency.types import SCORES, Output
from saliency.weighting import EqualWeighting

STATED = "model.heteroscedastic=true"
ATTRIBUTES = (
    'data.attributes=[{ name = "saturation" }, { name = "shapes", classes = ["1", "2", "3"] }]'
)


@pytest.fixture(scope="module")
def stating(tiny_config, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("stating")
    train(tiny_config(STATED), run_dir, device="cpu")
    return run_dir


def test_everything_else_is_learned_exactly_as_without_it(stating, tiny_config, tmp_path):
    train(tiny_config(), tmp_path, device="cpu")
    plain, its = (
        load_checkpoint(path / "last.safetensors").network.state_dict()
        for path in (tmp_path, stating)
    )
    assert its.keys() - plain.keys() == {"aesthetics.error.weight", "aesthetics.error.bias"}
    assert all(torch.equal(its[name], value) for name, value in plain.items())


def test_the_statement_itself_is_learned(stating):
    error = load_checkpoint(stating / "last.safetensors").network.aesthetics.error
    assert error.weight.any()


def test_its_loss_is_logged(stating):
    rows = [json.loads(line) for line in (stating / "metrics.jsonl").read_text().splitlines()]
    assert all(row["train"]["score_error"] >= 0 for row in rows)


def test_evaluation_measures_it(stating, tiny_config):
    (rated,) = build_sets(tiny_config().data, "val", None).rated
    predictor = Predictor.load(stating / "last.safetensors", "cpu", backend="torch")
    measures = evaluate(predictor, rated, full=False).measures
    assert -1 <= measures["error rank"].value <= 1
    assert 0 <= measures["in 1 std"].value <= measures["in 2 std"].value <= 1
    assert "model rank" not in measures


@pytest.mark.parametrize("accumulate", [1, 2])
def test_attributes_and_parts_of_a_batch_go_with_it(accumulate, tiny_config, tmp_path):
    config = tiny_config(STATED, ATTRIBUTES, f"train.accumulate={accumulate}", "train.epochs=1")
    train(config, tmp_path, device="cpu")
    predictor = Predictor.load(tmp_path / "last.safetensors", "cpu", backend="torch")
    prediction = predictor.predict(np.full((60, 90, 3), 128, np.uint8))
    saturation, shapes = prediction.attributes
    assert saturation.std > 0
    assert shapes.std is None
    assert prediction.uncertainty.score_error_std > 0


def test_an_attribute_alone_can_state_its_error(tiny_config, tmp_path):
    heads = [f"model.{head}=false" for head in ("saliency", "aesthetics", "guidance")]
    config = tiny_config(STATED, 'data.attributes=[{ name = "saturation" }]', *heads)
    train(config, tmp_path, device="cpu")
    predictor = Predictor.load(tmp_path / "last.safetensors", "cpu", backend="torch")
    prediction = predictor.predict(np.full((60, 90, 3), 128, np.uint8))
    assert prediction.attributes[0].std > 0
    assert prediction.uncertainty is None


def test_what_states_errors_is_a_branch_of_its_own(tiny_config):
    network = build_network(tiny_config(STATED, ATTRIBUTES), None)
    optimizer = build_optimizer(network, EqualWeighting(4), tiny_config().train)
    of_branch = [
        id(p) for g in optimizer.param_groups if g["name"] == "errors" for p in g["params"]
    ]
    assert sorted(of_branch) == sorted(id(p) for p in network.error_parameters())
    assert len(of_branch) == 4  # scores and saturation, weight and bias
    every = [id(p) for g in optimizer.param_groups for p in g["params"]]
    assert len(every) == len(set(every))


def test_the_error_of_the_mean_score_is_in_points():
    votes = torch.eye(10)[[2, 6]]  # scores 3 and 7
    logits = torch.full((2, 10), -50.0)
    logits[0, 4] = logits[1, 6] = 50.0  # predicted 5 and 7
    log_variance = torch.zeros(2, requires_grad=True)
    logits.requires_grad_()
    output = Output(None, logits, score_log_variance=log_variance)
    losses = score_error_losses(output, replace(_batch(), score_distribution=votes))
    assert losses.tolist() == pytest.approx([(4 + 8) / 2, 8 / 2], abs=1e-4)
    losses.sum().backward()
    assert logits.grad is None
    assert log_variance.grad.tolist() == pytest.approx([(1 - 4) / 2, 1 / 2], abs=1e-4)
    assert SCORES[4] == 5


def _batch():
    from saliency.types import Batch

    return Batch(
        torch.zeros(2, 3, 4, 4),
        torch.zeros(2, dtype=torch.long),
        torch.zeros(2, 4, 4),
        torch.zeros(2, dtype=torch.bool),
        torch.zeros(2, 10),
        torch.ones(2, dtype=torch.bool),
        torch.tensor([[0.2], [0.4]]),
        torch.arange(2),
        torch.full((2,), -1),
        torch.zeros(2),
    )


def test_an_attributes_loss_is_attenuated_by_its_statement(tiny_config):
    attribute = tiny_config(ATTRIBUTES).data.attributes[0].attribute()
    task = AttributeTask(0, attribute, heteroscedastic=True)
    stated = torch.tensor([-4.0, -2.0])
    output = Output(
        None, None, attributes=(torch.tensor([0.4, 0.4]),), attribute_log_variances=(stated,)
    )
    assert task.losses(output, _batch()).tolist() == pytest.approx(
        [(np.exp(4) * 0.04 + 4) / 2, 3.0], rel=1e-4
    )


def test_an_attributes_network_that_states_nothing_is_refused(tiny_config):
    attribute = tiny_config(ATTRIBUTES).data.attributes[0].attribute()
    task = AttributeTask(0, attribute, heteroscedastic=True)
    with pytest.raises(ValueError, match=r"state the error of the attribute 'saturation'"):
        task.losses(Output(None, None, attributes=(torch.zeros(2),)), _batch())


def test_the_constant_prediction_states_its_error_too(tiny_config):
    config = tiny_config(STATED, ATTRIBUTES)
    sets = build_sets(config.data, "train", None)
    tasks = build_tasks(config, sets)
    network = build_network(config, None)
    from saliency.preprocessing import Preprocessing

    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    batches = PlainBatches(sets, preprocessing, 100)
    losses = dict(
        zip([t.name for t in tasks], constant_losses(tasks, batches, auxiliary=False), strict=True)
    )
    labels = [
        sample.attributes[0]
        for dataset in sets.rated
        for sample in map(dataset.__getitem__, range(len(dataset)))
    ]
    expected = (1 + np.log(np.var(labels)) + 8) / 2
    assert losses["saturation"] == pytest.approx(expected, rel=1e-3)
