"""Two processes learn what one does: the real thing, through torchrun and gloo."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors import safe_open
from torch import nn

from saliency.datasets import share_rows
from saliency.devices import Device
from saliency.errors import DeviceError, SaliencyError
from saliency.preprocessing import Preprocessing
from saliency.training import distributed
from saliency.training.config import WeightingName, load_config
from saliency.training.data import TrainingLoader, build_sets
from saliency.training.distributed import World, join_world
from saliency.training.loop import train
from saliency.training.report import Reporter

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TIMEOUT_S = 300

# Three steps an epoch, the last one small: one image with fixations and two with ratings.
RECIPE = """
[data]
height = 64
width = 96
sets = [
    { name = "looked", layout = "drawn", count = 9 },
    { name = "rated", layout = "drawn", count = 8, rated = true },
]

[model]
encoder = "test_efficientnet"
pretrained = false
decoder_channels = 16

[weighting]
fixed = { saliency = 1, aesthetics = 10 }

[train]
epochs = 2
saliency_per_batch = 4
warmup_steps = 2
ema_decay = 0.9
"""

CASES = {
    # One process, then two, then one.
    "their number changes": [],
    # In the last batch there is one image.
    "one has no images": [
        "model.aesthetics=false",
        "model.guidance=false",
        "weighting.name=gradient",
    ],
    "one has no ratings": [
        "train.rated_per_batch=1",
        "train.accumulate=3",
        "data.sets.looked.count=8",
        "weighting.name=mgda",
    ],
    "errors are stated": [
        "train.rated_per_batch=1",
        "model.heteroscedastic=true",
        "weighting.name=equal",
    ],
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(autouse=True, scope="module")
def _no_data_of_the_users():
    """Overrides the one of this folder, for the processes that are started here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SALIENCY_DATA", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


class Interrupting(Reporter):
    def __init__(self, run_dir, at):
        super().__init__(run_dir)
        self.at = at

    def step(self, step, values):
        super().step(step, values)
        if step == self.at:
            signal.raise_signal(signal.SIGINT)


class Job:
    """A run to be trained by one process or by two, in a folder of its own."""

    def __init__(self, recipe, run_dir, overrides=(), stop_at=None):
        self.recipe = recipe
        self.run_dir = run_dir
        self.overrides = list(overrides)
        self.stop_at = stop_at

    def to_json(self):
        return {
            "recipe": str(self.recipe),
            "run_dir": str(self.run_dir),
            "overrides": self.overrides,
            "stop_at": self.stop_at,
        }

    def alone(self):
        config = load_config(self.recipe, self.overrides)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            reporter = Interrupting(self.run_dir, self.stop_at)
            train(config, self.run_dir, device="cpu", reporter=reporter)
        finally:
            signal.signal(signal.SIGINT, before)


def together(folder, jobs):
    """Train all jobs with two processes."""
    path = folder / "jobs.json"
    path.write_text(json.dumps([job.to_json() for job in jobs]))
    script = Path(__file__).with_name("train_together.py")
    done = subprocess.run(
        [*TORCHRUN, script, path], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr


def rows(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def tensors(run_dir):
    with safe_open(run_dir / "state.safetensors", framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def assert_same_but_for_rounding(one, other):
    """Compare losses, weights of the tasks, metrics and all weights that two runs ended with."""
    assert len(rows(one)) == len(rows(other))
    for row, other_row in zip(rows(one), rows(other), strict=True):
        assert row["train"] == pytest.approx(other_row["train"], rel=2e-3, abs=1e-6)
        for name, metrics in row["val"].items():
            assert metrics == pytest.approx(other_row["val"][name], abs=5e-3)
    found, expected = tensors(one), tensors(other)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        # Equal logits everywhere are no logits: the head's bias has no gradient but rounding,
        # which Adam makes large.
        if name.startswith(("network.", "weighting.")) and not name.endswith("decoder.head.bias"):
            # Nor have single weights that start at 0 much of a gradient: half a step.
            torch.testing.assert_close(
                tensor, expected[name], rtol=1e-3, atol=5e-4, equal_nan=True, msg=name
            )


@pytest.fixture(scope="module")
def pairs(recipe, tmp_path_factory):
    """Folder of each run by one process and of the same by two: trained, continued, stopped."""
    folder = tmp_path_factory.mktemp("runs")
    pairs = {name: (folder / f"{name} 1", folder / f"{name} 2") for name in CASES}
    changing, changed = pairs["their number changes"]
    # The first step is where a log-variance has no gradient but rounding.
    Job(recipe, changing, stop_at=2).alone()
    shutil.copytree(changing, changed)
    for name, overrides in CASES.items():
        Job(recipe, pairs[name][0], overrides).alone()
    jobs = [Job(recipe, pairs[name][1], overrides) for name, overrides in CASES.items()]
    jobs[0].stop_at = 4
    together(folder, jobs)
    jobs[0].stop_at = None
    jobs[0].alone()
    return pairs


class TestTwoProcesses:
    @pytest.mark.parametrize("case", CASES)
    def test_learn_what_one_does(self, pairs, case):
        one, two = pairs[case]
        assert_same_but_for_rounding(two, one)

    def test_write_what_one_does(self, pairs):
        one, two = pairs["one has no images"]
        names = {path.name for path in one.iterdir()}
        assert {path.name for path in two.iterdir()} == names
        assert len(list((two / "tensorboard").iterdir())) == 1


@pytest.fixture(scope="module")
def runs(recipe, tmp_path_factory):
    """Folders: of all strategies by one process, by two, and in two parts by two."""
    folder = tmp_path_factory.mktemp("runs")
    names = get_args(WeightingName)
    jobs = []
    for name in names:
        override = [f"weighting.name={name}", "data.sets.looked.count=19"]
        first = Job(recipe, folder / "one" / name, override, stop_at=2)
        first.alone()
        shutil.copytree(first.run_dir, folder / "two" / name)
        Job(recipe, first.run_dir, override).alone()
        jobs.append(Job(recipe, folder / "two" / name, override))
        in_parts = [*override, "train.accumulate=2", "train.epochs=1"]
        jobs.append(Job(recipe, folder / "parts" / name, in_parts))
        Job(recipe, folder / "whole" / name, [*override, "train.epochs=1"]).alone()
    together(folder, jobs)
    return folder


@pytest.mark.slow
class TestEveryWeighting:
    @pytest.mark.parametrize("name", get_args(WeightingName))
    def test_two_processes_learn_what_one_does(self, runs, name):
        assert_same_but_for_rounding(runs / "two" / name, runs / "one" / name)

    @pytest.mark.parametrize("name", [n for n in get_args(WeightingName) if n != "uncertainty"])
    def test_parts_learn_what_the_whole_does(self, runs, name):
        assert_same_but_for_rounding(runs / "parts" / name, runs / "whole" / name)


@pytest.mark.slow
def test_gradients_at_all_parameters_are_those_of_all_processes(recipe, tmp_path):
    overrides = ["weighting.name=gradnorm", "weighting.shared=parameters"]
    one, two = (Job(recipe, tmp_path / name, overrides) for name in ("one", "two"))
    one.alone()
    together(tmp_path, [two])
    assert_same_but_for_rounding(two.run_dir, one.run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["train.precision=bfloat16", "model.dropout=0.5"])
def test_half_precision_and_dropout_train_together_and_go_on(recipe, tmp_path, extra):
    whole = Job(recipe, tmp_path / "whole", [extra])
    stopped = Job(recipe, tmp_path / "stopped", [extra], stop_at=3)
    together(tmp_path, [whole, stopped, Job(recipe, stopped.run_dir, [extra])])
    assert rows(stopped.run_dir) == rows(whole.run_dir)
    found, expected = tensors(stopped.run_dir), tensors(whole.run_dir)
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
def test_a_killed_process_ends_all_and_the_run_goes_on(recipe, tmp_path):
    overrides = ["train.epochs=1000"]
    command = [*TORCHRUN, "-m", "saliency", "train", recipe, "-o", tmp_path / "run"]
    command += ["--device", "cpu", *(word for o in overrides for word in ("-s", o))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not (tmp_path / "run" / "state.safetensors").exists():
                assert time.monotonic() < deadline
                assert run.poll() is None, run.stderr.read().decode()
                time.sleep(0.1)
            os.kill(children(run.pid)[1], signal.SIGKILL)
            _, told = run.communicate(timeout=TIMEOUT_S)
        finally:
            run.kill()
    assert run.returncode != 0
    assert "error: All processes of a run should live until its end." in told.decode()
    assert "The same command goes on from the last save." in told.decode()
    before = int(rows(tmp_path / "run")[-1]["step"])
    Job(recipe, tmp_path / "run", overrides, stop_at=before + 6).alone()
    assert rows(tmp_path / "run")[-1]["step"] > before


class TestShares:
    @pytest.mark.parametrize(("count", "size", "parts"), [(8, 2, 1), (7, 3, 2), (1, 4, 2)])
    def test_every_image_is_computed_once(self, count, size, parts):
        images = list(range(count))
        computed = [
            image
            for rank in range(size)
            for rows in share_rows(count, rank, size, parts)
            for image in images[rows]
        ]
        assert sorted(computed) == images

    def test_every_process_has_both_kinds_of_images(self):
        batch = ["saliency"] * 16 + ["rated"] * 48
        for rank in range(8):
            (rows,) = share_rows(len(batch), rank, 8, 1)
            assert (batch[rows].count("saliency"), batch[rows].count("rated")) == (2, 6)

    def test_a_process_without_images_has_no_parts(self):
        assert share_rows(1, rank=1, size=2, parts=3) == []


@pytest.mark.parametrize("epoch", [0, 1])
def test_processes_load_the_rows_that_one_would(recipe, epoch):
    config = load_config(recipe, ["train.accumulate=2"])
    sets = build_sets(config.data, "train", None)
    preprocessing = Preprocessing(64, 96, (0.5,) * 3, (0.5,) * 3)
    whole = list(TrainingLoader(load_config(recipe), sets, preprocessing).epoch(epoch))
    for rank in range(3):
        loader = TrainingLoader(config, sets, preprocessing, World(rank, 3))
        shares = list(loader.shares(epoch))
        assert [share.image_count for share in shares] == [len(b.images) for b in whole]
        for share, batch in zip(shares, whole, strict=True):
            for rows, part in zip(share.rows, share.parts, strict=True):
                assert torch.equal(part.images, batch.images[rows])


@pytest.mark.parametrize("name", ["realtime", "gradient"])
def test_parts_learn_what_the_whole_does(recipe, tmp_path, name):
    whole = Job(recipe, tmp_path / "whole", [f"weighting.name={name}", "train.epochs=1"])
    parts = Job(recipe, tmp_path / "parts", [*whole.overrides, "train.accumulate=3"])
    whole.alone()
    parts.alone()
    assert_same_but_for_rounding(parts.run_dir, whole.run_dir)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.parametrize("parts", [1, 2])
def test_a_compiled_encoder_learns_what_the_plain_one_does(recipe, tmp_path, parts):
    # A strategy that looks at the gradient of the encoder's last layer.
    overrides = ["weighting.name=gradnorm", "train.epochs=1", f"train.accumulate={parts}"]
    plain = Job(recipe, tmp_path / "plain", overrides)
    compiled = Job(recipe, tmp_path / "fast", [*plain.overrides, "train.compile=true"])
    plain.alone()
    compiled.alone()
    assert_same_but_for_rounding(compiled.run_dir, plain.run_dir)


class TestOneProcess:
    def test_changes_nothing(self):
        world = World()
        tensors = [torch.rand(3, requires_grad=True)]
        assert world.sum(tensors) is tensors
        assert world.total(tensors) is tensors
        assert (world.max(0.25), world.any(False), world.of_first([1.5])) == (0.25, False, [1.5])

    def test_keeps_parameters_without_a_gradient_as_they_are(self):
        parameter = nn.Parameter(torch.ones(2))
        World().sum_gradients([parameter])
        assert parameter.grad is None

    def test_draws_from_the_common_random_numbers(self):
        torch.manual_seed(0)
        expected = torch.rand(2)
        torch.manual_seed(0)
        with World().own_random_numbers():
            assert torch.equal(torch.rand(2), expected)

    def test_is_a_world_of_its_own(self):
        with join_world("auto") as (world, device):
            assert (world.size, world.is_first, device) == (1, True, "auto")


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_several_processes_choose_their_gpus_themselves(device, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("saliency.training.distributed.find_device", find_any)
    with pytest.raises(DeviceError, match="each having a GPU"), join_world(device):
        pass


def find_any(name):
    kind, _, index = name.partition(":")
    return Device(kind, int(index) if index else None)


def test_a_killed_loader_process_is_not_taken_for_one_of_the_run():
    with pytest.raises(RuntimeError, match=r"^DataLoader worker"), distributed._mourning():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    with pytest.raises(SaliencyError, match=r"Found one gone: peer closed\. The same"):
        _raise_in_mourning("peer closed.\nand much more")


def _raise_in_mourning(reason):
    with distributed._mourning():
        raise RuntimeError(reason)
