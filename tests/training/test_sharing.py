"""Every sharing scheme in training: with every strategy, stopped, exported, predicting."""

import json

import numpy as np
import pytest
import torch

from saliency import ConfigError, Predictor, load_checkpoint
from saliency.backends.export import export_graphs
from saliency.model.sharing import SCHEMES as BY_NAME
from saliency.training.building import build_network
from saliency.training.loop import train
from saliency.training.optimization import build_optimizer
from saliency.weighting import EqualWeighting

SCHEMES = tuple(BY_NAME)
SOFT = ("cross_stitch", "sluice", "mean_constraint")
GRADIENTS = ("gradient", "gradnorm", "mgda")
PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


def last_weights(run_dir):
    return load_checkpoint(run_dir / "last.safetensors").network.state_dict()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("strategy", GRADIENTS)
def test_every_scheme_learns_with_strategies_that_look_at_gradients(
    tiny_config, tmp_path, scheme, strategy
):
    train(
        tiny_config(f"sharing.name={scheme}", f"weighting.name={strategy}", "train.epochs=1"),
        tmp_path,
    )
    logged = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["train"]
    weights = logged["share/saliency"], logged["share/aesthetics"]
    assert min(weights) > 0
    assert weights[0] != pytest.approx(weights[1])  # else it heard of no gradient


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("strategy", GRADIENTS)
def test_strategies_look_wherever_they_are_told_to(tiny_config, tmp_path, scheme, strategy):
    found = []
    for shared in ("features", "last_layer", "parameters"):
        overrides = (f"sharing.name={scheme}", f"weighting.name={strategy}", "train.epochs=1")
        train(tiny_config(*overrides, f"weighting.shared={shared}"), tmp_path / shared)
        rows = (tmp_path / shared / "metrics.jsonl").read_text().splitlines()
        found.append(json.loads(rows[-1])["train"]["share/saliency"])
    assert min(found) > 0
    assert len(set(found)) == 3  # each place has gradients of its own


@pytest.mark.parametrize(
    "scheme", [pytest.param(s, marks=() if s == "hard" else pytest.mark.slow) for s in SCHEMES]
)
def test_a_cut_run_ends_as_one_that_was_not(tiny_config, tmp_path, scheme, power_cut):
    config = tiny_config(f"sharing.name={scheme}", "train.save_every_steps=3")
    train(config, tmp_path / "whole")
    with pytest.raises(OSError, match="no power"):
        train(config, tmp_path / "cut", reporter=power_cut(tmp_path / "cut", 4))
    train(config, tmp_path / "cut")
    whole, cut = last_weights(tmp_path / "whole"), last_weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_trained_network_predicts_through_a_predictor(tiny_config, tmp_path, scheme):
    train(tiny_config(f"sharing.name={scheme}", "train.epochs=1"), tmp_path)
    prediction = Predictor.load(tmp_path / "last.safetensors", backend="torch").predict(PHOTO)
    assert prediction.density.sum() == pytest.approx(1, abs=1e-4)
    assert 1 <= prediction.score <= 10


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_can_be_exported(tiny_config, tmp_path, scheme):
    train(tiny_config(f"sharing.name={scheme}", "train.epochs=1"), tmp_path)
    weights = tmp_path / "last.safetensors"
    export_graphs(weights)
    exported = Predictor.load(weights, backend="onnx").predict(PHOTO)
    reference = Predictor.load(weights, backend="torch").predict(PHOTO)
    assert exported.score == pytest.approx(reference.score, abs=0.02)
    assert np.corrcoef(exported.density.ravel(), reference.density.ravel())[0, 1] > 0.9995


def test_with_hard_sharing_a_checkpoint_holds_what_it_always_held(tiny_config):
    names = build_network(tiny_config(), None).state_dict()
    assert not [name for name in names if name.startswith("sharing")]


@pytest.mark.parametrize("scheme", SOFT)
def test_encoders_of_all_tasks_start_alike_and_freeze_alike(tiny_config, scheme):
    network = build_network(tiny_config(f"sharing.name={scheme}", "model.frozen_stride=4"), None)
    first, other = network.sharing.encoders(network.encoder)
    for (name, mine), (_, its) in zip(
        first.named_parameters(), other.named_parameters(), strict=True
    ):
        assert torch.equal(mine, its), name
        assert mine.requires_grad == its.requires_grad, name


def test_what_mixes_has_its_own_learning_rate_and_no_decay(tiny_config):
    config = tiny_config("sharing.name=cross_stitch", "sharing.lr=0.5")
    network = build_network(config, None)
    optimizer = build_optimizer(network, EqualWeighting(2), config.train, config.sharing.lr)
    [group] = [g for g in optimizer.param_groups if g["name"] == "sharing"]
    assert group["lr"] == 0.5
    assert group["weight_decay"] == 0
    assert len(group["params"]) == len(network.encoder.channels)


def test_a_penalty_is_logged_and_weighed(tiny_config, tmp_path):
    losses = {}
    for strength in (0, 10):
        run_dir = tmp_path / str(strength)
        overrides = ("sharing.name=joint_feature", f"sharing.strength={strength}")
        train(tiny_config(*overrides, "train.epochs=1"), run_dir)
        logged = json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[-1])
        losses[strength] = logged["train"]
    assert losses[10]["penalty"] > 0
    assert losses[10]["loss"] > losses[0]["loss"] + losses[10]["penalty"]
    assert "penalty" not in losses[0]


def test_stage_by_stage_schemes_are_not_compiled(tiny_config, tmp_path):
    config = tiny_config("sharing.name=cross_stitch", "train.compile=true")
    with pytest.raises(ConfigError, match=r"train.compile.*Found sharing.name = 'cross_stitch'"):
        train(config, tmp_path)
