"""Tasks besides saliency and aesthetics, from labels to predictions."""

import json

import numpy as np
import pytest
import torch

from saliency import ConfigError, DatasetError, Predictor, load_checkpoint
from saliency.datasets.sets import build_sets
from saliency.tasks import AttributeTask
from saliency.training.building import build_network, build_tasks
from saliency.training.loop import train
from saliency.weighting import UncertaintyWeighting

ATTRIBUTES = (
    'data.attributes=[{ name = "saturation" }, { name = "shapes", classes = ["1", "2", "3"] }]'
)


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("attributes")
    train(tiny_config(ATTRIBUTES), run_dir)
    return run_dir


def test_each_attribute_is_a_task(tiny_config):
    config = tiny_config(ATTRIBUTES)
    tasks = build_tasks(config, build_sets(config.data, "train", None))
    assert [t.name for t in tasks] == ["saliency", "aesthetics", "saturation", "shapes"]
    assert [t.likelihood for t in tasks] == [
        "classification",
        "classification",
        "regression",
        "classification",
    ]


def test_the_network_has_a_head_for_each_task_in_the_same_order(tiny_config):
    config = tiny_config(ATTRIBUTES)
    tasks = build_tasks(config, build_sets(config.data, "train", None))
    assert build_network(config, None).architecture.tasks == tuple(t.name for t in tasks)


def test_training_logs_every_tasks_loss_and_weight(trained):
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])["train"]
    for task in ("saliency", "aesthetics", "saturation", "shapes"):
        assert np.isfinite(last[f"loss/{task}"])
        assert last[f"weight/{task}"] > 0


def test_a_trained_network_tells_its_attributes(trained):
    predictor = Predictor.load(trained / "last.safetensors", backend="torch")
    prediction = predictor.predict(np.full((60, 90, 3), 128, np.uint8))
    saturation, shapes = prediction.attributes
    assert 0 <= saturation.value <= 1
    assert shapes.label in ("1", "2", "3")
    assert sum(shapes.probabilities.values()) == pytest.approx(1)


def test_a_checkpoint_keeps_its_attributes(trained):
    network = load_checkpoint(trained / "last.safetensors").network
    assert [a.name for a in network.architecture.attributes] == ["saturation", "shapes"]
    assert network.architecture.attributes[1].classes == ("1", "2", "3")


def test_without_attributes_nothing_is_told(tiny_config, tmp_path):
    train(tiny_config("train.epochs=1"), tmp_path)
    predictor = Predictor.load(tmp_path / "last.safetensors", backend="torch")
    assert predictor.predict(np.zeros((60, 90, 3), np.uint8)).attributes == ()


def test_an_attribute_that_no_set_knows_is_refused(tiny_config):
    config = tiny_config('data.attributes=[{ name = "mood" }]')
    with pytest.raises(ConfigError, match=r"attribute 'mood' needs a rated set with labels for it"):
        build_tasks(config, build_sets(config.data, "train", None))


@pytest.mark.parametrize(
    "given",
    [
        '[{ name = "saliency" }]',
        '[{ name = "mood", low = 2, high = 1 }]',
        '[{ name = "mood" }, { name = "mood" }]',
    ],
)
def test_a_nonsensical_attribute_is_refused(tiny_config, given):
    with pytest.raises(ConfigError, match=r"data.attributes"):
        tiny_config(f"data.attributes={given}")


def test_a_single_attribute_can_be_all_that_is_learned(tiny_config, tmp_path):
    config = tiny_config(
        'data.attributes=[{ name = "saturation" }]',
        "model.saliency=false",
        "model.aesthetics=false",
        "model.guidance=false",
        "train.epochs=1",
    )
    result = train(config, tmp_path)
    assert result.checkpoint == tmp_path / "best.safetensors"
    assert -1 <= result.score <= 1
    network = load_checkpoint(result.checkpoint).network
    output = network(torch.zeros(1, 3, 64, 96))
    assert output.log_density is None
    assert output.score_logits is None
    assert output.attributes[0].shape == (1,)


def test_uncertainty_has_a_log_variance_for_each_task(tiny_config):
    config = tiny_config(ATTRIBUTES)
    tasks = build_tasks(config, build_sets(config.data, "train", None))
    weighting = UncertaintyWeighting([t.likelihood for t in tasks])
    assert weighting.scales == [1.0, 1.0, 2.0, 1.0]


def test_the_constant_of_a_scale_is_its_mean_and_of_classes_their_frequencies(tiny_config):
    mean, classes = tiny_config(ATTRIBUTES).data.attributes
    labels = torch.tensor([[0.2, 0.0], [0.6, 2.0], [float("nan"), 2.0]])
    assert AttributeTask(0, mean.attribute()).constant(labels) == pytest.approx(0.4)
    shares = AttributeTask(1, classes.attribute()).constant(labels).exp()
    assert torch.allclose(shares, torch.tensor([1 / 3, 0.0, 2 / 3]), atol=1e-6)


def test_two_attributes_do_not_share_a_column(tiny_config):
    given = '[{ name = "a", column = "shapes" }, { name = "b", column = "shapes" }]'
    with pytest.raises(ConfigError, match=r"a column each"):
        tiny_config(f"data.attributes={given}")


def test_a_label_off_the_scale_is_an_error_of_the_set(tiny_config):
    config = tiny_config('data.attributes=[{ name = "shapes", high = 0.5 }]')
    with pytest.raises(DatasetError, match=r"rated: `shapes` should be 0 to 0.5. Found"):
        build_tasks(config, build_sets(config.data, "train", None))
