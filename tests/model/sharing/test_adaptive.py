import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.modules.batchnorm import _BatchNorm

from saliency import (
    Card,
    Checkpoint,
    CheckpointError,
    ConfigError,
    Predictor,
    load_checkpoint,
    save_checkpoint,
)
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.encoders import build_encoder
from saliency.model.sharing import AdaptiveOptions, AdaptiveSharing, HardSharing
from saliency.preprocessing import Preprocessing

ONE, TWO, THREE = (0, 0, 0), (0, 1, 1), (0, 1, 2)
TREE = (ONE, ONE, ONE, TWO, TWO, THREE)
"""Of three tasks and the six features of the test encoder."""


@pytest.fixture
def sharing(encoder):
    return AdaptiveSharing(encoder, 3, TREE).eval()


def assert_same_features(one, other):
    for mine, its in zip(one.by_task, other.by_task, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, its, strict=True))


def move(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1


def test_one_group_everywhere_is_hard_sharing(encoder, images):
    adaptive, hard = AdaptiveSharing(encoder, 3).eval(), HardSharing(3).eval()
    assert_same_features(adaptive(encoder, images), hard(encoder, images))
    assert not adaptive.state_dict()


@pytest.mark.parametrize("name", ["resnet10t", "test_convnext"])
def test_other_encoders_split_too(name, images):
    encoder = build_encoder(name).eval()
    sharing = AdaptiveSharing(encoder, 2).eval()
    before = sharing(encoder, images)
    for stage in reversed(range(len(sharing.tree))):
        sharing.split(encoder, stage, (0, 1))
    assert_same_features(sharing(encoder, images), before)


def test_a_split_changes_nothing_at_first(encoder, images):
    sharing = AdaptiveSharing(encoder, 3).eval()
    before = sharing(encoder, images)
    for stage in (5, 4, 3):
        sharing.split(encoder, stage, TREE[stage])
        assert_same_features(sharing(encoder, images), before)
    assert sharing.tree == TREE


def test_each_task_reads_its_own_branch(encoder, images, sharing):
    before = sharing(encoder, images).by_task
    move(sharing.others[3][0])  # of the tasks 1 and 2
    move(sharing.others[5][1])  # of task 2
    after = sharing(encoder, images).by_task
    changed = [
        [not torch.equal(a, b) for a, b in zip(mine, its, strict=True)]
        for mine, its in zip(before, after, strict=True)
    ]
    assert changed[0] == [False] * 6
    assert changed[1] == [False] * 3 + [True] * 3
    assert changed[2] == [False] * 3 + [True] * 3
    assert not torch.equal(after[1][5], after[2][5])
    assert torch.equal(after[1][4], after[2][4])


def test_copies_train_apart_and_the_trunk_trains_with_all(encoder, images):
    sharing = AdaptiveSharing(encoder.train(), 3, TREE).train()
    sharing(encoder, images).by_task[2][-1].sum().backward()

    def trained(module):
        return any(p.grad is not None and p.grad.any() for p in module.parameters())

    trunk_and_own = [*encoder.stages()[:3], sharing.others[3], sharing.others[4]]
    assert all(trained(module) for module in (*trunk_and_own, sharing.others[5][1]))
    assert not any(trained(module) for module in (*encoder.stages()[3:], sharing.others[5][0]))


def test_a_groups_stage_is_computed_once(encoder, images, sharing):
    computed = []
    layers = [m for own in (encoder, sharing) for m in own.modules() if isinstance(m, _BatchNorm)]
    for number, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, number=number: computed.append(number))
    sharing(encoder, images)
    assert sorted(computed) == list(range(len(layers)))


def test_where_tasks_meet_is_a_tensor_a_group(encoder, images):
    sharing = AdaptiveSharing(encoder.train(), 3, TREE).train()
    features = sharing(encoder, images)
    assert [len(tensors) for tensors in features.measured] == [1, 1, 1, 2, 2, 3]
    assert features.by_task[2][4] is features.by_task[1][4] is features.measured[4][1]
    (gradient,) = torch.autograd.grad(
        features.by_task[1][-1].sum(), features.measured[0], allow_unused=True
    )
    assert gradient is None  # it is the heads' alone


def test_the_tree_rebuilds_itself(encoder, images, sharing):
    move(sharing)
    other = AdaptiveSharing(encoder, 3, TREE).eval()
    other.load_state_dict(sharing.state_dict())
    assert_same_features(other(encoder, images), sharing(encoder, images))


@pytest.mark.parametrize(
    "tree",
    [
        TREE[1:],  # a stage is missing
        (*TREE[:5], (0, 1)),  # a task is missing
        (*TREE[:5], (0, 2, 1)),  # not numbered as they appear
        (*TREE[:5], (1, 0, 0)),
        (ONE, ONE, ONE, TWO, ONE, ONE),  # joined again above
        (ONE, ONE, ONE, THREE, TWO, THREE),
        (ONE, ONE, ONE, (0, 1, 0), TWO, THREE),  # not of whole groups
    ],
)
def test_what_is_no_tree_is_refused(encoder, tree):
    with pytest.raises(ConfigError, match=r"groups of|groups for"):
        AdaptiveSharing(encoder, 3, tree)


def test_a_stage_is_split_once(encoder, sharing):
    with pytest.raises(ConfigError, match="once"):
        sharing.split(encoder, 4, TWO)


def test_more_tasks_than_can_be_compared_are_refused(encoder):
    AdaptiveSharing(encoder, 8)
    with pytest.raises(ConfigError, match=r"at most 8 tasks\. Found 9"):
        AdaptiveSharing(encoder, 9)


def test_an_encoder_without_stages_is_refused():
    encoder = build_encoder("resnet10t", final_features=True)
    with pytest.raises(ConfigError, match="stage by stage"):
        AdaptiveSharing(encoder, 2)


def test_batch_normalisation_stays_frozen_in_copies(encoder, images):
    sharing = AdaptiveSharing(encoder.train(), 3, TREE).train()
    before = {name: value.clone() for name, value in sharing.state_dict().items()}
    sharing(encoder, images)
    assert sharing.training
    assert not any(m.training for m in sharing.modules() if isinstance(m, _BatchNorm))
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(v, before[name]) for name, v in sharing.state_dict().items())


def test_copies_learn_as_the_encoder_does(encoder, sharing):
    trained = sharing.encoder_parameters(encoder)
    copied = [p for p in sharing.parameters() if p.requires_grad]
    assert copied
    assert {id(p) for p in copied} < {id(p) for p in trained}
    assert len(trained) == len({id(p) for p in trained})
    assert sharing.mixing_parameters() == []


class TestLastLayers:
    @pytest.mark.parametrize("stage", range(6))
    def test_while_nothing_is_split_it_is_the_encoders(self, encoder, stage):
        (found,) = AdaptiveSharing(encoder, 3).last_layers(encoder, stage)
        assert found is encoder.last_layer(stage)

    def test_each_group_has_its_own(self, encoder, sharing):
        layers = sharing.last_layers(encoder, 5)
        assert len(layers) == 3
        assert layers[0] is encoder.last_layer(5)
        assert layers[2] is sharing.others[5][1][-2].weight

    def test_below_a_frozen_stage_it_is_one_for_all(self, encoder, sharing):
        for module in (*encoder.stages()[3:], sharing.others):
            module.requires_grad_(False)
        (found,) = sharing.last_layers(encoder, 5)
        assert found is encoder.last_layer(2)


def test_the_tree_is_told_in_lists_of_tasks(sharing):
    told = sharing.describe()["tree"]
    assert told[0] == [[0, 1, 2]]
    assert told[3] == [[0], [1, 2]]
    assert told[5] == [[0], [1], [2]]


TWO_STAGES_SPLIT = ((0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (0, 1))


@pytest.fixture
def checkpoint(tmp_path):
    """The path of a checkpoint of two tasks with a tree whose branches have moved apart."""
    torch.manual_seed(0)
    network = SaliencyNetwork(
        Architecture(
            "test_efficientnet",
            decoder_channels=16,
            sharing=AdaptiveOptions(tree=TWO_STAGES_SPLIT),
        )
    ).eval()
    move(network.sharing)
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    path = tmp_path / "tree.safetensors"
    save_checkpoint(path, Checkpoint(network, preprocessing, Card()))
    return path


def test_a_checkpoint_keeps_its_tree_and_predicts_the_same(checkpoint, tmp_path):
    photo = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    loaded = load_checkpoint(checkpoint)
    assert loaded.network.architecture.sharing.tree == loaded.network.sharing.tree
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, loaded)
    one, other = (Predictor.load(p, "cpu", backend="torch") for p in (checkpoint, again))
    assert np.array_equal(one.predict(photo).density, other.predict(photo).density)
    assert one.predict(photo).score == other.predict(photo).score
    # The copies are what the scores are read from: with the first task's they would differ.
    loaded.network.sharing.others.load_state_dict(
        {
            name.replace("others.", "", 1): value * 0
            for name, value in loaded.network.sharing.state_dict().items()
        }
    )
    save_checkpoint(again, loaded)
    assert Predictor.load(again, "cpu", backend="torch").predict(photo).score != pytest.approx(
        one.predict(photo).score, abs=1e-3
    )


@pytest.mark.parametrize("tree", [[[0, 0]], [[0, 0]] * 5 + [[0, 2]], [["a", "b"]] * 6, 7])
def test_a_checkpoint_with_a_strange_tree_is_refused(checkpoint, tree):
    with safe_open(checkpoint, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    architecture = json.loads(metadata["architecture"])
    architecture["sharing"]["tree"] = tree
    save_file(tensors, checkpoint, metadata | {"architecture": json.dumps(architecture)})
    with pytest.raises(CheckpointError, match="fill its own network"):
        load_checkpoint(checkpoint)


@pytest.mark.slow
def test_an_exported_tree_computes_what_the_network_does(checkpoint):
    from saliency.backends.export import export_graphs

    export_graphs(checkpoint)
    photo = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    found, expected = (
        Predictor.load(checkpoint, "cpu", backend=b).predict(photo) for b in ("onnx", "torch")
    )
    assert np.abs(found.density - expected.density).max() < 0.01 * expected.density.max()
    assert found.score == pytest.approx(expected.score, abs=0.005)
