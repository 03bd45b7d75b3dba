"""Stages that are split between tasks while training, from the plan to a run that is killed."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from timm.utils import ModelEmaV3

from saliency import ConfigError, Predictor, load_checkpoint
from saliency.datasets.sets import build_sets
from saliency.preprocessing import Preprocessing
from saliency.tasks import AttributeTask
from saliency.training.building import build_network, build_tasks
from saliency.training.config import TrainConfig, load_config
from saliency.training.data import PlainBatches
from saliency.training.distributed import World
from saliency.training.growth import (
    Growth,
    carry_moments,
    grow_as,
    image_errors,
    split_epochs,
    split_stage,
)
from saliency.training.loop import train
from saliency.training.optimization import build_optimizer
from saliency.training.state import Progress, TrainingState
from saliency.weighting import EqualWeighting

ADAPTIVE = "sharing.name=adaptive"
SPLITTING = (ADAPTIVE, "train.epochs=3", "sharing.splits=[1, 2]", "sharing.branching=100")
"""Two splits for certain, after 4 and after 8 of 12 steps."""

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

CPU = torch.device("cpu")


def content(path):
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, dict(file.metadata())


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_same_tensors(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], rtol=0, atol=0, equal_nan=True), name


@pytest.fixture(scope="module")
def whole(tiny_config, tmp_path_factory):
    """The folder of a run with two splits that nothing stopped. Read only."""
    run_dir = tmp_path_factory.mktemp("run") / "whole"
    train(tiny_config(*SPLITTING), run_dir, device="cpu")
    return run_dir


@pytest.fixture
def grown(tiny_config):
    """Return a function from overrides to Growth and the state of a run that took one step."""

    def build(*overrides):
        config = tiny_config(ADAPTIVE, *overrides)
        sets = build_sets(config.data, "train", None)
        torch.manual_seed(0)
        network = build_network(config, None)
        tasks = build_tasks(config, sets)
        weighting = EqualWeighting(len(tasks))
        optimizer = build_optimizer(network, weighting, config.train)
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        ema = ModelEmaV3(network, decay=0.9)
        optimizer.step()
        ema.update(network)
        preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
        batches = PlainBatches(sets, preprocessing, 8)
        state = TrainingState(network, ema, weighting, optimizer, Progress())
        return Growth(config.sharing.growth, config, network, tasks, batches, CPU, World()), state

    return build


class TestEpochs:
    @pytest.mark.parametrize(
        ("epochs", "stages", "expected"),
        [
            (24, 6, (2, 4, 6, 8, 10, 12)),
            (12, 6, (1, 2, 3, 4, 5, 6)),
            (30, 5, (3, 6, 9, 12, 15)),
            (6, 6, (1, 2, 3)),  # one an epoch at most
            (2, 6, (1,)),
            (1, 6, ()),
            (12, 0, ()),  # all is frozen
        ],
    )
    def test_lie_evenly_in_the_first_half_of_a_run(self, epochs, stages, expected):
        assert split_epochs((), epochs, stages) == expected

    def test_may_be_chosen(self):
        assert split_epochs((2, 8), 9, 6) == (2, 8)

    def test_after_which_nothing_is_trained_are_refused(self):
        with pytest.raises(ConfigError, match=r"before the last one, 8.*Found \[2, 8\]"):
            split_epochs((2, 8), 8, 6)

    @pytest.mark.parametrize("given", ["[2, 1]", "[1, 1]", "[0, 1]"])
    def test_out_of_order_are_refused(self, tiny_config, given):
        with pytest.raises(ConfigError, match="`sharing`: `splits` should be rising"):
            tiny_config(ADAPTIVE, f"sharing.splits={given}")


class TestSplitting:
    def test_goes_from_the_deepest_stage_on(self, grown):
        growth, state = grown("train.epochs=6", "sharing.splits=[2, 3]", "sharing.branching=100")
        trees = []
        for epoch in range(1, 6):
            state.progress.epoch = epoch
            growth.after_epoch(state)
            trees.append([max(groups) + 1 for groups in state.network.sharing.tree])
        assert trees[0] == [1, 1, 1, 1, 1, 1]
        assert trees[1] == [1, 1, 1, 1, 1, 2]
        assert trees[2] == trees[3] == trees[4] == [1, 1, 1, 1, 2, 2]

    def test_tells_what_was_decided(self, grown):
        growth, state = grown("sharing.splits=[1]", "sharing.branching=100")
        state.progress.epoch = 1
        decision = growth.after_epoch(state)
        assert decision.groups == (("saliency",), ("aesthetics",))
        assert (decision.epoch, decision.stride, decision.final) == (1, 32, True)
        assert decision.tree == state.network.architecture.sharing.tree
        assert 0 <= decision.affinity["saliency~aesthetics"] <= 1

    def test_changes_no_output_and_splits_the_averaged_network_alike(self, grown):
        growth, state = grown("sharing.splits=[1]", "sharing.branching=100")
        images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
        networks = (state.network.eval(), state.ema.module)
        with torch.no_grad():
            before = [network(images) for network in networks]
            state.progress.epoch = 1
            growth.after_epoch(state)
            after = [network(images) for network in networks]
        for old, new, network in zip(before, after, networks, strict=True):
            assert torch.equal(old.log_density, new.log_density)
            assert torch.equal(old.score_logits, new.score_logits)
            assert network.architecture.sharing.tree[-1] == (0, 1)
        copies = [network.sharing.others[5][0].state_dict() for network in networks]
        assert not torch.equal(copies[0]["0.weight"], copies[1]["0.weight"])

    def test_stops_below_a_stage_that_stays_shared(self, grown):
        growth, state = grown("train.epochs=6", "sharing.splits=[1, 2]", "sharing.branching=0")
        state.progress.epoch = 1
        decision = growth.after_epoch(state)
        assert decision.groups == (("saliency", "aesthetics"),)
        state.progress.epoch = 2
        assert growth.after_epoch(state) is None
        assert state.network.architecture.sharing.tree == ()

    def test_leaves_frozen_stages_alone(self, grown):
        growth, state = grown("model.frozen_stride=16", "train.epochs=12", "sharing.branching=1000")
        for epoch in range(1, 12):
            state.progress.epoch = epoch
            growth.after_epoch(state)
        split = [max(groups) > 0 for groups in state.network.sharing.tree]
        assert split == [False, False, False, False, True, True]

    def test_obeys_the_first_process(self, grown):
        class Second(World):
            def of_first(self, values):
                self.asked = values
                return [1.0, 0.25, 0.25, 1.0, 0.0, 1.0]

        growth, state = grown("sharing.splits=[1]", "sharing.branching=0")
        growth._world = Second(1, 2)
        state.progress.epoch = 1
        decision = growth.after_epoch(state)
        assert growth._world.asked == [0.0] * 6  # it measured nothing
        assert decision.affinity == {"saliency~aesthetics": 0.25}
        assert state.network.sharing.tree[-1] == (0, 1)

    def test_a_network_that_shares_otherwise_does_not_grow(self, tiny_config):
        with pytest.raises(ConfigError, match="Found 'hard'"):
            split_stage(build_network(tiny_config(), None), 5, (0, 1))

    def test_a_tree_is_grown_at_once_as_one_by_one(self, tiny_config):
        tree = ((0, 0),) * 3 + ((0, 1),) * 3
        network = build_network(tiny_config(ADAPTIVE), None)
        grow_as(network, tree)
        assert network.sharing.tree == network.architecture.sharing.tree == tree
        untouched = build_network(tiny_config(), None)
        grow_as(untouched, ())  # of a run of another scheme


class TestOptimizer:
    def test_goes_on_with_its_moments_and_copies_have_those_of_what_they_copy(self, grown):
        growth, state = grown("sharing.splits=[1]", "sharing.branching=100")
        old = dict(state.optimizer.state)
        state.progress.epoch = 1
        growth.after_epoch(state)
        new = state.optimizer.state
        assert old.keys() < new.keys()
        for parameter, moments in old.items():
            assert all(torch.equal(new[parameter][name], m) for name, m in moments.items())
        source = state.network.encoder.stages()[5].parameters()
        copies = list(state.network.sharing.others[5][0].parameters())
        trained = [(a, b) for a, b in zip(source, copies, strict=True) if a.requires_grad]
        assert trained
        for ours, its in trained:
            assert new[its]["exp_avg"].any()
            assert new[its]["step"] == 1
            assert all(torch.equal(new[its][name], m) for name, m in new[ours].items())
            assert new[its]["exp_avg"] is not new[ours]["exp_avg"]

    def test_trains_copies_at_the_encoders_rate(self, grown):
        growth, state = grown("sharing.splits=[1]", "sharing.branching=100")
        state.progress.epoch = 1
        growth.after_epoch(state)
        copies = {id(p) for p in state.network.sharing.parameters() if p.requires_grad}
        found = [g for g in state.optimizer.param_groups if copies & {id(p) for p in g["params"]}]
        assert {g["name"] for g in found} == {"encoder"}
        assert copies <= {id(p) for g in found for p in g["params"]}

    def test_has_no_moments_for_what_never_had_any(self, grown):
        _, state = grown()
        fresh = build_optimizer(state.network, state.weighting, TrainConfig())
        other = build_optimizer(state.network, state.weighting, TrainConfig())
        carry_moments(fresh, other, [])
        assert not other.state


class TestErrors:
    def test_are_the_losses_of_each_image_with_a_label(self, grown):
        growth, state = grown()
        errors = image_errors(state.ema.module, growth._tasks, growth._batches, CPU)
        known = ~errors.isnan()
        # At most 8 of a kind; drawn images with ratings have fixations too.
        assert known.tolist() == [[True, False]] * 8 + [[True, True]] * 8
        assert (errors[known] >= 0).all()
        first = next(iter(growth._batches))
        with torch.no_grad():
            output = state.ema.module(first.images)
        expected = growth._tasks[0].losses(output, first)
        assert torch.allclose(errors[: len(expected), 0].float(), expected, atol=1e-6)

    def test_of_attributes_are_unknown_where_photos_have_none(self, grown):
        growth, state = grown('data.attributes=[{ name = "saturation" }]')
        errors = image_errors(state.ema.module, growth._tasks, growth._batches, CPU)
        assert isinstance(growth._tasks[2], AttributeTask)
        assert (~errors.isnan()).sum(dim=0).tolist() == [16, 8, 8]
        assert errors[:8, 1:].isnan().all()


class TestRun:
    def test_writes_what_was_split(self, whole):
        first, second = lines(whole / "splits.jsonl")
        assert (first["epoch"], first["stride"], first["final"]) == (1, 32, True)
        assert (second["epoch"], second["stride"], second["final"]) == (2, 32, False)
        assert second["groups"] == [["saliency"], ["aesthetics"]]
        assert second["tree"] == [[0, 0]] * 4 + [[0, 1]] * 2

    def test_trains_the_branches_apart(self, whole):
        tensors, metadata = content(whole / "last.safetensors")
        tree = json.loads(metadata["architecture"])["sharing"]["tree"]
        assert tree == [[0, 0]] * 4 + [[0, 1]] * 2
        copied = tensors["sharing.others.5.0.0.weight"]
        assert not torch.equal(copied, tensors["encoder.body.conv_head.weight"])
        # Untrained statistics of the batch normalisation stay.
        assert not tensors["sharing.others.5.0.1.running_mean"].any()

    def test_leaves_a_checkpoint_that_predicts(self, whole):
        network = load_checkpoint(whole / "last.safetensors").network
        assert network.sharing.tree[-1] == (0, 1)
        predictor = Predictor.load(whole / "last.safetensors", "cpu", backend="torch")
        prediction = predictor.predict(np.full((60, 90, 3), 128, np.uint8))
        assert 1 <= prediction.score <= 10

    # Right before a split, right behind it, and elsewhere.
    @pytest.mark.parametrize(
        "step", [4, 9, *(pytest.param(step, marks=pytest.mark.slow) for step in (3, 5, 8, 11))]
    )
    def test_that_is_killed_goes_on_as_if_nothing_had_happened(
        self, whole, tiny_config, tmp_path, step, power_cut
    ):
        config = tiny_config(*SPLITTING)
        with pytest.raises(OSError, match="no power"):
            train(
                config, tmp_path / "run", device="cpu", reporter=power_cut(tmp_path / "run", step)
            )
        torch.rand(5)  # whatever else a process does meanwhile
        train(config, tmp_path / "run", device="cpu")
        for name in ("metrics.jsonl", "splits.jsonl"):
            assert lines(tmp_path / "run" / name) == lines(whole / name)
        for name in ("best.safetensors", "last.safetensors", "state.safetensors"):
            found, expected = (content(folder / name)[0] for folder in (tmp_path / "run", whole))
            assert_same_tensors(found, expected)

    def test_that_never_splits_learns_what_hard_sharing_does(self, tiny_config, tmp_path):
        train(tiny_config(), tmp_path / "hard", device="cpu")
        train(tiny_config(ADAPTIVE, "sharing.max_groups=1"), tmp_path / "one", device="cpu")
        hard, one = (content(tmp_path / n / "last.safetensors")[0] for n in ("hard", "one"))
        assert_same_tensors(one, hard)
        (decision,) = lines(tmp_path / "one" / "splits.jsonl")
        assert decision["groups"] == [["saliency", "aesthetics"]]

    def test_that_is_killed_looks_at_the_same_gradients(self, tiny_config, tmp_path, power_cut):
        # What the tasks share is other parameters after a split.
        config = tiny_config(*SPLITTING, "weighting.name=mgda", "weighting.shared=parameters")
        train(config, tmp_path / "whole", device="cpu")
        with pytest.raises(OSError, match="no power"):
            train(config, tmp_path / "run", device="cpu", reporter=power_cut(tmp_path / "run", 5))
        train(config, tmp_path / "run", device="cpu")
        assert lines(tmp_path / "run/metrics.jsonl") == lines(tmp_path / "whole/metrics.jsonl")

    @pytest.mark.parametrize(
        ("weighting", "shared"),
        [
            ("gradnorm", "last_layer"),
            ("mgda", "features"),
            pytest.param("gradnorm", "features", marks=pytest.mark.slow),
            pytest.param("gradnorm", "parameters", marks=pytest.mark.slow),
            pytest.param("mgda", "last_layer", marks=pytest.mark.slow),
            pytest.param("mgda", "parameters", marks=pytest.mark.slow),
        ],
    )
    def test_goes_with_strategies_that_look_at_gradients(
        self, tiny_config, tmp_path, weighting, shared
    ):
        config = tiny_config(
            ADAPTIVE,
            "sharing.branching=100",
            "data.sets.looked.count=8",
            f"weighting.name={weighting}",
            f"weighting.shared={shared}",
            "train.save_every_steps=1",
        )
        train(config, tmp_path, device="cpu")
        last = lines(tmp_path / "metrics.jsonl")[-1]["train"]
        for task in ("saliency", "aesthetics"):
            assert math.isfinite(last[f"loss/{task}"])
            assert last[f"weight/{task}"] > 0
        assert load_checkpoint(tmp_path / "last.safetensors").network.sharing.tree[-1] == (0, 1)


@pytest.mark.slow
def test_two_processes_split_and_learn_as_one_does(tiny_toml, tmp_path):
    script = Path(__file__).with_name("train_together.py")
    one, two = tmp_path / "one", tmp_path / "two"
    job = {"recipe": str(tiny_toml), "overrides": list(SPLITTING), "float64": True}
    for run_dir, launcher in ((one, [sys.executable]), (two, TORCHRUN)):
        jobs = tmp_path / "jobs.json"
        parts = [job | {"run_dir": str(run_dir), "stop_at": step} for step in (5, None)]
        jobs.write_text(json.dumps(parts))
        done = subprocess.run(
            [*launcher, script, jobs], capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stderr
    found, expected = (lines(run_dir / "splits.jsonl") for run_dir in (two, one))
    assert [row["tree"] for row in found] == [row["tree"] for row in expected]
    found, expected = (lines(run_dir / "metrics.jsonl") for run_dir in (two, one))
    for row, other_row in zip(found, expected, strict=True):
        # Sums in another order differ by 1e-16 in float64, and 12 steps magnify that.
        assert row["train"] == pytest.approx(other_row["train"], rel=1e-6, abs=1e-9)


@pytest.fixture
def planted(tmp_path):
    """The recipe of a run on photos whose attributes are noise, two of them on the same photos.

    `left` and `leftish` are 0 or 1 by chance on one half of the photos and 0.5 elsewhere, `right`
    and `rightish` on another half that has nothing to do with the first.
    """
    rng = np.random.default_rng(0)
    (tmp_path / "noise" / "images").mkdir(parents=True)
    names = ("left", "right", "leftish", "rightish")
    with (tmp_path / "noise" / "ratings.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "score", *names))
        for number in range(100):
            image = np.full((64, 96, 3), rng.integers(256, size=3), np.uint8)
            cv2.imwrite(str(tmp_path / "noise" / "images" / f"{number}.png"), image)
            hard = dict(zip(("left", "right"), rng.random(2) < 0.5, strict=True))
            labels = [
                float(rng.random() < 0.5) if hard[name.removesuffix("ish")] else 0.5
                for name in names
            ]
            table.writerow((f"{number}.png", 4, *labels))
    recipe = tmp_path / "planted.toml"
    recipe.write_text(
        """
[data]
height = 64
width = 96
sets = [{ name = "noise", layout = "ratings" }]
attributes = [
    { name = "left" }, { name = "right" }, { name = "leftish" }, { name = "rightish" },
]
[model]
encoder = "test_efficientnet"
pretrained = false
saliency = false
aesthetics = false
guidance = false
[sharing]
name = "adaptive"
splits = [1, 2]
[train]
epochs = 3
rated_per_batch = 16
"""
    )
    return load_config(recipe)


def test_training_recovers_a_planted_tree_of_tasks(planted, tmp_path):
    train(planted, tmp_path / "run", data_root=tmp_path, device="cpu")
    first, second = lines(tmp_path / "run" / "splits.jsonl")
    for decision in (first, second):
        assert decision["groups"] == [["left", "leftish"], ["right", "rightish"]]
    affinity = first["affinity"]
    assert affinity["left~leftish"] > 0.9
    assert abs(affinity["left~right"] - 0.5) < 0.2
    network = load_checkpoint(tmp_path / "run" / "last.safetensors").network
    assert network.architecture.sharing.tree == ((0,) * 4,) * 4 + ((0, 1, 0, 1),) * 2
