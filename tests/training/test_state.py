import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.utils import ModelEmaV3

from saliency.errors import CheckpointError
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.sharing import AdaptiveOptions
from saliency.training.optimization import build_optimizer
from saliency.training.state import (
    Progress,
    TrainingState,
    is_of_config,
    load_state,
    load_tree_of,
    save_state,
)
from saliency.weighting import UncertaintyWeighting


def fresh_state(config, decoder_channels=8, seed=0):
    torch.manual_seed(seed)
    network = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=decoder_channels))
    weighting = UncertaintyWeighting(["classification", "regression"])
    return TrainingState(
        network,
        ModelEmaV3(network, decay=0.9),
        weighting,
        build_optimizer(network, weighting, config.train),
        Progress(),
    )


@pytest.fixture
def config(tiny_config):
    return tiny_config()


@pytest.fixture
def used_state(config):
    """A state in which everything has moved."""
    state = fresh_state(config)
    for parameter in [*state.network.parameters(), *state.weighting.parameters()]:
        parameter.grad = torch.randn_like(parameter)
    state.optimizer.step()
    state.ema.update(state.network)
    state.progress = Progress(
        3, 14, 2, 0.5, 2, {"loss": 0.1 + 0.2}, finished=True, counts={"loss": 1}
    )
    return state


@pytest.fixture
def path(tmp_path, used_state, config):
    save_state(tmp_path / "state.safetensors", used_state, config)
    return tmp_path / "state.safetensors"


def assert_equal_modules(one, other):
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_networks_and_weights_come_back(path, used_state, config):
    state = fresh_state(config, seed=1)
    load_state(path, state)
    assert_equal_modules(state.network, used_state.network)
    assert_equal_modules(state.ema.module, used_state.ema.module)
    assert_equal_modules(state.weighting, used_state.weighting)


def test_the_optimisers_moments_come_back(path, used_state, config):
    state = fresh_state(config, seed=1)
    load_state(path, state)
    expected = used_state.optimizer.state_dict()["state"]
    found = state.optimizer.state_dict()["state"]
    assert found.keys() == expected.keys()
    for index, moments in expected.items():
        assert all(torch.equal(found[index][name], value) for name, value in moments.items())


def test_progress_comes_back_to_the_last_bit(path, used_state, config):
    state = fresh_state(config)
    load_state(path, state)
    assert state.progress == used_state.progress


def test_a_state_of_version_0_1_counts_every_step(path, config):
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    progress = json.loads(metadata["progress"])
    del progress["counts"]
    save_file(tensors, path, metadata | {"progress": json.dumps(progress)})
    state = fresh_state(config)
    load_state(path, state)
    assert state.progress.counts == {"loss": 2}


def test_the_tree_of_a_split_network_is_kept(tmp_path, config):
    tree = ((0, 0),) * 5 + ((0, 1),)
    torch.manual_seed(0)
    network = SaliencyNetwork(
        Architecture("test_efficientnet", decoder_channels=8, sharing=AdaptiveOptions(tree=tree))
    )
    state = fresh_state(config)
    state.network = network
    save_state(tmp_path / "state.safetensors", state, config)
    assert load_tree_of(tmp_path / "state.safetensors") == tree


def test_a_state_from_before_there_were_trees_has_none(path):
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    del metadata["tree"]
    save_file(tensors, path, metadata)
    assert load_tree_of(path) == ()


def test_a_start_without_any_score_comes_back(tmp_path, config):
    state = fresh_state(config)
    save_state(tmp_path / "state.safetensors", state, config)
    other = fresh_state(config)
    load_state(tmp_path / "state.safetensors", other)
    assert other.progress.best_score == float("-inf")


def test_random_numbers_go_on_where_they_were(tmp_path, used_state, config):
    save_state(tmp_path / "state.safetensors", used_state, config)
    expected = torch.rand(3)
    state = fresh_state(config, seed=1)
    load_state(tmp_path / "state.safetensors", state)
    assert torch.equal(torch.rand(3), expected)


def test_the_config_is_kept(path, config):
    assert is_of_config(path, config)
    train = config.train.model_copy(update={"epochs": config.train.epochs + 1})
    assert not is_of_config(path, config.model_copy(update={"train": train}))


def test_a_run_may_go_on_with_other_threads(path, config):
    train = config.train.model_copy(update={"threads": 3})
    assert is_of_config(path, config.model_copy(update={"train": train}))


# What version 0.2 wrote of every run, whatever its strategy and scheme.
WEIGHTING_0_2 = {
    "name": "uncertainty",
    "normalize": False,
    "fixed": None,
    "shared": None,
    "initial_batches": 10,
    "gradnorm_alpha": 1.5,
    "dwa_temperature": 2.0,
    "mgda_normalization": "none",
    "dtp_gamma": 1.0,
    "dtp_smoothing": 0.5,
    "lbtw_alpha": 0.5,
}
SHARING_0_2 = {
    "name": "hard",
    "lr": 0.01,
    "strength": None,
    "per_channel": False,
    "subspaces": 2,
    "update_every": 20,
    "splits": [],
    "max_groups": 2,
    "branching": 4.0,
}


@pytest.mark.parametrize(
    ("weighting", "sharing", "overrides"),
    [
        ({}, {}, []),
        (
            {"name": "dtp", "dtp_gamma": 3.0},
            {"name": "sluice", "subspaces": 4, "strength": 0.5},
            [
                "weighting={name='dtp', gamma=3}",
                "sharing={name='sluice', subspaces=4, strength=0.5}",
            ],
        ),
        (
            {"name": "gradnorm", "gradnorm_alpha": 0.5},
            {"name": "adaptive", "splits": [1]},
            ["weighting={name='gradnorm', alpha=0.5}", "sharing={name='adaptive', splits=[1]}"],
        ),
        (
            {"name": "fixed", "fixed": {"saliency": 1, "aesthetics": 2}},
            {"name": "joint_feature"},
            [
                "weighting={name='fixed', weights={saliency=1, aesthetics=2}}",
                "sharing.name=joint_feature",
            ],
        ),
    ],
)
def test_a_run_of_version_0_2_goes_on(path, tiny_config, weighting, sharing, overrides):
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    written = json.loads(metadata["config"])
    del written["train"]["threads"]
    written["weighting"] = WEIGHTING_0_2 | weighting
    written["sharing"] = SHARING_0_2 | sharing
    save_file(tensors, path, metadata | {"config": json.dumps(written)})
    assert is_of_config(path, tiny_config(*overrides))
    assert not is_of_config(path, tiny_config("weighting={name='dtp', gamma=7}"))
    assert not is_of_config(path, tiny_config("sharing={name='sluice', subspaces=8}"))


def test_saving_changes_nothing(tmp_path, used_state, config):
    before = {n: t.clone() for n, t in used_state.network.state_dict().items()}
    random_state = torch.get_rng_state()
    save_state(tmp_path / "state.safetensors", used_state, config)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(t, before[n]) for n, t in used_state.network.state_dict().items())


def test_a_state_is_plain_data_that_runs_no_code(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])  # a pickle would be no JSON
    assert {"config", "progress", "random"} <= header["__metadata__"].keys()
    with safe_open(path, framework="pt") as file:
        assert "network.decoder.head.weight" in set(file.keys())


@pytest.mark.parametrize("kept", [0, 7, 100, -100])
def test_a_truncated_state_is_an_error_that_names_it(path, config, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        load_state(path, fresh_state(config))


def test_a_checkpoint_is_no_state(tiny_weights, config):
    with pytest.raises(CheckpointError, match="should be a training state"):
        load_state(tiny_weights, fresh_state(config))


def test_the_state_of_another_network_is_refused(path, config):
    with pytest.raises(CheckpointError, match="state of this network"):
        load_state(path, fresh_state(config, decoder_channels=16))
