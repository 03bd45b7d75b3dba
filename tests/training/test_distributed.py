"""Two processes learn what one does: the real thing, through torchrun and gloo."""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partialmethod
from operator import itemgetter
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors import safe_open
from torch import nn

from saliency.datasets import share_rows
from saliency.datasets.sets import build_sets
from saliency.devices import Device
from saliency.errors import DeviceError, SaliencyError
from saliency.preprocessing import Preprocessing
from saliency.training import distributed
from saliency.training.config import load_config
from saliency.training.data import TrainingLoader
from saliency.training.distributed import World, join_world
from saliency.training.loop import train
from saliency.weighting import Strategy

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
STRATEGIES = [options.name for options in get_args(Strategy)]
TIMEOUT_S = 1800  # a hang, on the busiest machine

SCRIPT = Path(__file__).with_name("train_together.py")
Interrupting, float64 = itemgetter("Interrupting", "float64")(runpy.run_path(str(SCRIPT)))

# Three steps an epoch, the last one small: one image with fixations and two with ratings.
SMALL = ["data.sets.looked.count=9"]

# Convolutions in float64 take long.
TINY_SIZE = ["data.height=32", "data.width=64"]

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


@pytest.fixture(autouse=True, scope="module")
def _no_data_of_the_users():
    """Overrides the one of this folder, for the processes that are started here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SALIENCY_DATA", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


class Job:
    """A run to be trained by one process or by two, in a folder of its own."""

    def __init__(self, recipe, run_dir, overrides=(), stop_at=None, *, in_float64=True):
        self.recipe = recipe
        self.run_dir = run_dir
        self.overrides = [*SMALL, *overrides]
        self.stop_at = stop_at
        self.in_float64 = in_float64

    def to_json(self):
        return {
            "recipe": str(self.recipe),
            "run_dir": str(self.run_dir),
            "overrides": self.overrides,
            "stop_at": self.stop_at,
            "float64": self.in_float64,
        }

    def alone(self):
        config = load_config(self.recipe, self.overrides)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            reporter = Interrupting(self.run_dir, self.stop_at)
            with float64() if self.in_float64 else nullcontext():
                train(config, self.run_dir, device="cpu", reporter=reporter)
        finally:
            signal.signal(signal.SIGINT, before)


def together(folder, jobs):
    """Train all jobs with two processes."""
    path = folder / "jobs.json"
    path.write_text(json.dumps([job.to_json() for job in jobs]))
    done = subprocess.run(
        [*TORCHRUN, SCRIPT, path], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr


def rows(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def tensors(run_dir):
    with safe_open(run_dir / "state.safetensors", framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def assert_same_but_for_rounding(one, other):
    """Compare losses, weights of the tasks, metrics and all weights that two runs ended with.

    In float64 sums in another order differ by 1e-16, which a few steps magnify to 1e-12 or so; what
    is kept in float32, such as weights of tasks, by 1e-7. Adam's epsilon, 1e-8, keeps gradients
    that are nothing but rounding from becoming steps. Metrics are computed in float32.
    """
    assert len(rows(one)) == len(rows(other))
    for row, other_row in zip(rows(one), rows(other), strict=True):
        assert row["train"] == pytest.approx(other_row["train"], rel=1e-6, abs=1e-9)
        for name, metrics in row["val"].items():
            assert metrics == pytest.approx(other_row["val"][name], abs=1e-6)
    found, expected = tensors(one), tensors(other)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(
            tensor, expected[name], rtol=1e-6, atol=1e-9, equal_nan=True, msg=name
        )


@pytest.fixture(scope="module")
def pairs(tiny_toml, tmp_path_factory):
    """Folder of each run by one process and of the same by two: trained, continued, stopped."""
    folder = tmp_path_factory.mktemp("runs")
    pairs = {name: (folder / f"{name} 1", folder / f"{name} 2") for name in CASES}
    changing, changed = pairs["their number changes"]
    Job(tiny_toml, changing, stop_at=2).alone()
    shutil.copytree(changing, changed)
    for name, overrides in CASES.items():
        Job(tiny_toml, pairs[name][0], overrides).alone()
    jobs = [Job(tiny_toml, pairs[name][1], overrides) for name, overrides in CASES.items()]
    jobs[0].stop_at = 4
    together(folder, jobs)
    jobs[0].stop_at = None
    jobs[0].alone()
    return pairs


@pytest.mark.slow
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
def runs(tiny_toml, tmp_path_factory):
    """Folders: of all strategies by one process, by two, and in two parts by two."""
    folder = tmp_path_factory.mktemp("runs")
    jobs = []
    for name in STRATEGIES:
        override = [f"weighting.name={name}", "data.sets.looked.count=19", *TINY_SIZE]
        if name == "fixed":
            override.append("weighting.weights={saliency=1, aesthetics=10}")
        first = Job(tiny_toml, folder / "one" / name, override, stop_at=2)
        first.alone()
        shutil.copytree(first.run_dir, folder / "two" / name)
        Job(tiny_toml, first.run_dir, override).alone()
        jobs.append(Job(tiny_toml, folder / "two" / name, override))
        in_parts = [*override, "train.accumulate=2", "train.epochs=1"]
        jobs.append(Job(tiny_toml, folder / "parts" / name, in_parts))
        Job(tiny_toml, folder / "whole" / name, [*override, "train.epochs=1"]).alone()
    together(folder, jobs)
    return folder


@pytest.mark.slow
class TestEveryWeighting:
    @pytest.mark.parametrize("name", STRATEGIES)
    def test_two_processes_learn_what_one_does(self, runs, name):
        assert_same_but_for_rounding(runs / "two" / name, runs / "one" / name)

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_parts_learn_what_the_whole_does(self, runs, name):
        assert_same_but_for_rounding(runs / "parts" / name, runs / "whole" / name)


@pytest.mark.slow
def test_gradients_at_all_parameters_are_those_of_all_processes(tiny_toml, tmp_path):
    overrides = ["weighting.name=gradnorm", "weighting.shared=parameters"]
    one, two = (Job(tiny_toml, tmp_path / name, overrides) for name in ("one", "two"))
    one.alone()
    together(tmp_path, [two])
    assert_same_but_for_rounding(two.run_dir, one.run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["train.precision=bfloat16", "model.dropout=0.5"])
def test_half_precision_and_dropout_train_together_and_go_on(tiny_toml, tmp_path, extra):
    whole = Job(tiny_toml, tmp_path / "whole", [extra], in_float64=False)
    stopped = Job(tiny_toml, tmp_path / "stopped", [extra], stop_at=3, in_float64=False)
    going_on = Job(tiny_toml, stopped.run_dir, [extra], in_float64=False)
    together(tmp_path, [whole, stopped, going_on])
    assert rows(stopped.run_dir) == rows(whole.run_dir)
    found, expected = tensors(stopped.run_dir), tensors(whole.run_dir)
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
def test_a_killed_process_ends_all_and_the_run_goes_on(tiny_toml, tmp_path):
    overrides = [*SMALL, "train.epochs=1000"]
    command = [*TORCHRUN, "-m", "saliency", "train", tiny_toml, "-o", tmp_path / "run"]
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
    assert "Run the same command again; it continues from the last save." in told.decode()
    before = int(rows(tmp_path / "run")[-1]["step"])
    Job(tiny_toml, tmp_path / "run", overrides, stop_at=before + 6, in_float64=False).alone()
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
def test_processes_load_the_rows_that_one_would(tiny_toml, epoch):
    config = load_config(tiny_toml, [*SMALL, "train.accumulate=2"])
    sets = build_sets(config.data, "train", None)
    preprocessing = Preprocessing(64, 96, (0.5,) * 3, (0.5,) * 3)
    whole = list(TrainingLoader(load_config(tiny_toml, SMALL), sets, preprocessing).epoch(epoch))
    for rank in range(3):
        loader = TrainingLoader(config, sets, preprocessing, World(rank, 3))
        shares = list(loader.shares(epoch))
        assert [share.image_count for share in shares] == [len(b.images) for b in whole]
        for share, batch in zip(shares, whole, strict=True):
            for rows, part in zip(share.rows, share.parts, strict=True):
                assert torch.equal(part.images, batch.images[rows])


@pytest.mark.parametrize("name", ["realtime", "gradient"])
def test_parts_learn_what_the_whole_does(tiny_toml, tmp_path, name):
    whole = Job(tiny_toml, tmp_path / "whole", [f"weighting.name={name}", "train.epochs=1"])
    parts = Job(tiny_toml, tmp_path / "parts", [*whole.overrides, "train.accumulate=3"])
    whole.alone()
    parts.alone()
    assert_same_but_for_rounding(parts.run_dir, whole.run_dir)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_compiled_encoder_learns_what_the_plain_one_does(tiny_toml, tmp_path, monkeypatch):
    # Traced as always, but not turned into C++, whose compiler takes minutes.
    traced = partialmethod(nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(nn.Module, "compile", traced)
    # A strategy that looks at the gradient of the encoder's last layer.
    overrides = ["weighting.name=gradnorm", "train.epochs=1", "train.accumulate=2"]
    plain = Job(tiny_toml, tmp_path / "plain", overrides)
    compiled = Job(tiny_toml, tmp_path / "fast", [*plain.overrides, "train.compile=true"])
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
    with pytest.raises(SaliencyError, match=r"Found one gone: peer closed\. Run the same"):
        _raise_in_mourning("peer closed.\nand much more")


def _raise_in_mourning(reason):
    with distributed._mourning():
        raise RuntimeError(reason)
