"""Training with the multilinear relationship prior, from the recipe to a prediction."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from saliency import Predictor, load_checkpoint
from saliency.training.building import build_network
from saliency.training.loop import train
from saliency.training.report import Reporter

UPDATE_EVERY = 3
OVERRIDES = (
    'data.attributes=[{ name = "saturation" }]',
    "sharing.name=multilinear",
    f"sharing.update_every={UPDATE_EVERY}",
    "train.save_every_steps=2",
)


class Watching(Reporter):
    """Keeps the penalty of every step."""

    def __init__(self, run_dir):
        super().__init__(run_dir)
        self.penalties = []

    def step(self, step, values):
        super().step(step, values)
        self.penalties.append(values.get("penalty"))


def tensors(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory):
    """The folder of a run of 2 epochs, 4 steps each: updates after steps 3 and 6. Read only."""
    run_dir = tmp_path_factory.mktemp("multilinear")
    reporter = Watching(run_dir)
    train(tiny_config(*OVERRIDES), run_dir, device="cpu", reporter=reporter)
    assert len(reporter.penalties) == 8
    assert all(np.isfinite(p) and p > 0 for p in reporter.penalties)
    return run_dir


# Saved after steps 2, 4, 6 and 8: what goes on starts between two updates, or right behind one.
@pytest.mark.parametrize("killed_after", [1, 3, 5, 7])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    trained, tiny_config, tmp_path, killed_after, power_cut
):
    config = tiny_config(*OVERRIDES)
    with pytest.raises(OSError, match="no power"):
        train(config, tmp_path, device="cpu", reporter=power_cut(tmp_path, killed_after))
    train(config, tmp_path, device="cpu")
    for name in ("last.safetensors", "state.safetensors"):
        expected, found = tensors(trained / name), tensors(tmp_path / name)
        assert expected.keys() == found.keys()
        for key, tensor in expected.items():
            assert torch.allclose(tensor, found[key], rtol=0, atol=0, equal_nan=True), key


def test_the_state_holds_covariances_that_were_learned(trained):
    saved = tensors(trained / "state.safetensors")
    for name in ("output", "input", "task"):
        covariance = saved[f"network.sharing.{name}_covariance"]
        assert not torch.equal(covariance, torch.eye(len(covariance)))
        assert covariance.diagonal().mean() == pytest.approx(1, abs=1e-5)


def test_training_moves_the_layers_and_keeps_the_basis(trained, tiny_config):
    config = tiny_config(*OVERRIDES)
    torch.manual_seed(config.train.seed)
    start = build_network(config, None).sharing
    saved = tensors(trained / "state.safetensors")
    assert torch.equal(saved["network.sharing.basis"], start.basis)
    assert torch.equal(saved["ema.sharing.basis"], start.basis)
    moved = saved["network.sharing.layers"] - start.layers.detach()
    assert moved.abs().mean() > 1e-3


def test_the_checkpoint_predicts_all_tasks(trained):
    predictor = Predictor.load(trained / "last.safetensors", backend="torch")
    prediction = predictor.predict(np.full((60, 90, 3), 128, np.uint8))
    assert prediction.density.sum() == pytest.approx(1, abs=1e-4)
    assert 1 <= prediction.score <= 10
    assert prediction.attributes[0].name == "saturation"


def test_the_checkpoint_tells_how_tasks_are_related(trained):
    network = load_checkpoint(trained / "last.safetensors").network
    assert network.architecture.sharing.update_every == UPDATE_EVERY
    correlation = torch.tensor(network.sharing.describe()["task_correlation"])
    assert correlation.shape == (3, 3)  # saliency, aesthetics, saturation
    assert torch.allclose(correlation.diagonal(), torch.ones(3))
    assert not torch.equal(correlation, torch.eye(3))


def test_the_penalty_is_logged_and_can_be_left_out(trained, tiny_config, tmp_path):
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])["train"]
    assert last["penalty"] > 0
    reporter = Watching(tmp_path)
    config = tiny_config(*OVERRIDES, "sharing.strength=0", "train.epochs=1")
    train(config, tmp_path, device="cpu", reporter=reporter)
    assert reporter.penalties == [None] * 4
