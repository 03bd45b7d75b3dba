import json
import shutil
import signal
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors import safe_open

from saliency import CheckpointError, ConfigError, Predictor, SaliencyError, load_checkpoint
from saliency.datasets.sets import build_sets
from saliency.evaluation import CenterBiasPredictor, evaluate, fit_center_bias
from saliency.training import objective, validation
from saliency.training.balancing import mean_losses
from saliency.training.building import build_network, build_tasks
from saliency.training.config import load_config, to_public
from saliency.training.data import PlainBatches
from saliency.training.loop import train
from saliency.training.report import Reporter
from saliency.weighting import EqualWeighting, Strategy, UncertaintyOptions

STRATEGIES = [options.name for options in get_args(Strategy)]


class Interrupting(Reporter):
    """A user who presses Ctrl-C while step number `at` is shown, `times` times."""

    def __init__(self, run_dir, at, number=signal.SIGINT, times=1):
        super().__init__(run_dir)
        self.at = at
        self.number = number
        self.times = times

    def step(self, step, values):
        super().step(step, values)
        for _ in range(self.times if step == self.at else 0):
            signal.raise_signal(self.number)


class Watching(Reporter):
    """Keeps the values of every step."""

    def __init__(self, run_dir):
        super().__init__(run_dir)
        self.seen = []

    def step(self, step, values):
        super().step(step, values)
        self.seen.append(values)


def content(path):
    """Return the tensors and the metadata of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {
            name: json.loads(text) for name, text in file.metadata().items() if text[0] in "{["
        }
    metadata.get("card", {}).pop("commit", None)  # the code may be edited while tests run
    return tensors, metadata


def rows(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def assert_same_run(one, other):
    """Compare everything that two runs left, bit by bit."""
    assert rows(one) == rows(other)
    for name in ("best.safetensors", "last.safetensors", "state.safetensors"):
        tensors, metadata = content(one / name)
        other_tensors, other_metadata = content(other / name)
        assert metadata == other_metadata, name
        assert tensors.keys() == other_tensors.keys(), name
        for key, tensor in tensors.items():
            same = torch.allclose(tensor, other_tensors[key], rtol=0, atol=0, equal_nan=True)
            assert same, f"{name}: {key}"


def run_to_the_end(config, run_dir):
    """Start a run again until nothing stops it."""
    result = train(config, run_dir, device="cpu")
    assert not result.interrupted
    return run_dir


@pytest.fixture(scope="module")
def whole(tiny_config, tmp_path_factory):
    """The folder of a run of 2 epochs, 4 steps each, that nothing stopped. Read only."""
    return run_to_the_end(tiny_config(), tmp_path_factory.mktemp("run") / "whole")


@pytest.fixture(scope="module")
def whole_saved_often(tiny_config, tmp_path_factory):
    """The same, with a state saved every second step. Read only."""
    config = tiny_config("train.save_every_steps=2")
    return run_to_the_end(config, tmp_path_factory.mktemp("run") / "whole")


@pytest.fixture
def finished(whole, tmp_path):
    """A copy of that folder, to change."""
    return Path(shutil.copytree(whole, tmp_path / "finished"))


def test_training_on_drawn_images_beats_the_centre_bias(tiny_config, tmp_path):
    config = tiny_config(
        "data.sets.0.count=96", "train.epochs=2", "train.encoder_lr=2e-3", "train.saliency_lr=5e-3"
    )
    result = train(config, tmp_path / "run", device="cpu")
    (looked,) = build_sets(config.data, "val", None).saliency
    bias = fit_center_bias(build_sets(config.data, "train", None).saliency[0])
    network, baseline = (
        evaluate(predictor, looked, full=False).measures["CC"].value
        for predictor in (Predictor.load(result.checkpoint, "cpu"), CenterBiasPredictor(bias))
    )
    assert baseline > 0.05
    assert network > baseline + 0.3


@pytest.mark.slow
def test_the_smoke_recipe_learns_both_tasks(tmp_path):
    recipe = Path(__file__).parents[2] / "data" / "recipes" / "smoke.toml"
    train(load_config(recipe), tmp_path / "run", device="cpu")
    last = rows(tmp_path / "run")[-1]["val"]
    assert last["drawn-fixations"]["CC"] > 0.8
    assert last["drawn-ratings"]["SRCC"] > 0.8


class TestResuming:
    @pytest.mark.parametrize("step", [1, 3, 4, 6, 8])  # 4 and 8: the last of an epoch
    def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
        self, whole, tiny_config, tmp_path, step
    ):
        run_dir = tmp_path / "stopped"
        result = train(tiny_config(), run_dir, device="cpu", reporter=Interrupting(run_dir, step))
        assert result.interrupted
        torch.rand(5)  # whatever else a process does meanwhile
        assert_same_run(run_to_the_end(tiny_config(), run_dir), whole)

    def test_a_run_may_be_stopped_again_and_again(self, whole, tiny_config, tmp_path):
        run_dir = tmp_path / "stopped"
        for step in (2, 3, 5):
            train(tiny_config(), run_dir, device="cpu", reporter=Interrupting(run_dir, step))
        assert_same_run(run_to_the_end(tiny_config(), run_dir), whole)

    @pytest.mark.parametrize("step", [1, 3, 6])  # before the first save, in and after epoch 1
    def test_a_killed_run_goes_on_from_its_last_save(
        self, whole_saved_often, tiny_config, tmp_path, step, power_cut
    ):
        config = tiny_config("train.save_every_steps=2")
        run_dir = tmp_path / "killed"
        with pytest.raises(OSError, match="no power"):
            train(config, run_dir, device="cpu", reporter=power_cut(run_dir, step))
        assert_same_run(run_to_the_end(config, run_dir), whole_saved_often)

    def test_saving_more_often_changes_nothing(self, whole, whole_saved_often):
        often, _ = content(whole_saved_often / "last.safetensors")
        for name, tensor in content(whole / "last.safetensors")[0].items():
            assert torch.equal(tensor, often[name]), name

    def test_without_an_anchor_too(self, tiny_config, tmp_path):
        config = tiny_config("train.feature_anchor=0")
        whole = run_to_the_end(config, tmp_path / "whole")
        run_dir = tmp_path / "stopped"
        train(config, run_dir, device="cpu", reporter=Interrupting(run_dir, 3))
        assert_same_run(run_to_the_end(config, run_dir), whole)

    def test_a_stopped_run_leaves_a_checkpoint_that_predicts(self, tiny_config, tmp_path):
        run_dir = tmp_path / "stopped"
        result = train(tiny_config(), run_dir, device="cpu", reporter=Interrupting(run_dir, 1))
        assert result.checkpoint == run_dir / "last.safetensors"  # no epoch was validated yet
        image = build_sets(tiny_config().data, "val", None).saliency[0][0].image
        assert Predictor.load(result.checkpoint, "cpu").predict(image).score is not None

    def test_termination_is_a_request_too(self, tiny_config, tmp_path):
        # What a batch system or `kill` sends.
        run_dir = tmp_path / "stopped"
        reporter = Interrupting(run_dir, 2, signal.SIGTERM)
        assert train(tiny_config(), run_dir, device="cpu", reporter=reporter).interrupted

    def test_a_second_interrupt_acts_at_once(self, tiny_config, tmp_path):
        run_dir = tmp_path / "stopped"
        # A shell starts background jobs with interrupts ignored; a terminal does not.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                train(
                    tiny_config(),
                    run_dir,
                    device="cpu",
                    reporter=Interrupting(run_dir, 2, times=2),
                )
        finally:
            signal.signal(signal.SIGINT, before)

    def test_signals_are_the_callers_again_afterwards(self, tiny_config, tmp_path):
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        run_dir = tmp_path / "stopped"
        train(tiny_config(), run_dir, device="cpu", reporter=Interrupting(run_dir, 1))
        after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        assert after == before

    def test_a_finished_run_is_not_trained_further(self, finished, tiny_config):
        before = (finished / "state.safetensors").read_bytes()
        result = train(tiny_config(), finished, device="cpu")
        assert (finished / "state.safetensors").read_bytes() == before
        assert len(rows(finished)) == 2
        assert result.score == max(row["score"] for row in rows(finished))

    def test_the_run_of_another_config_is_refused(self, whole, tiny_config):
        with pytest.raises(ConfigError, match=f"{whole} should be a new folder"):
            train(tiny_config("train.seed=1"), whole, device="cpu")

    def test_the_run_of_another_version_is_refused(self, finished, tiny_config):
        state = finished / "state.safetensors"
        state.write_bytes(state.read_bytes().replace(b"save_every_steps", b"save_every_stops"))
        with pytest.raises(ConfigError, match=f"{finished} should be a new folder"):
            train(tiny_config(), finished, device="cpu")

    def test_a_damaged_state_is_named_and_kept(self, finished, tiny_config):
        state = finished / "state.safetensors"
        state.write_bytes(state.read_bytes()[:-100])
        with pytest.raises(CheckpointError, match=r"state\.safetensors"):
            train(tiny_config(), finished, device="cpu")
        assert state.is_file()


def test_a_seed_gives_one_network(whole, tiny_config, tmp_path):
    assert_same_run(run_to_the_end(tiny_config(), tmp_path / "other"), whole)


def test_batch_normalisation_keeps_its_statistics(whole):
    tensors, _ = content(whole / "state.safetensors")
    means = [t for name, t in tensors.items() if name.endswith("running_mean")]
    variances = [t for name, t in tensors.items() if name.endswith("running_var")]
    assert len(means) == len(variances) > 0
    # A random network starts at 0 and 1; any batch would move them.
    assert not any(mean.any() for mean in means)
    assert all((variance == 1).all() for variance in variances)


def test_frozen_layers_stay_and_the_others_move(tiny_config, tmp_path):
    config = tiny_config("model.frozen_stride=2", "train.epochs=1")
    torch.manual_seed(config.train.seed)
    before = build_network(config, None).encoder.body.state_dict()
    run_dir = run_to_the_end(config, tmp_path / "run")
    after, _ = content(run_dir / "state.safetensors")
    moved = {n for n, t in before.items() if not torch.equal(t, after[f"network.encoder.body.{n}"])}
    assert "conv_stem.weight" not in moved
    assert "conv_head.weight" in moved


def test_a_network_for_fixations_alone_trains(tiny_config, tmp_path):
    config = tiny_config("model.aesthetics=false", "model.guidance=false", "train.epochs=1")
    result = train(config, tmp_path / "run", device="cpu")
    image = build_sets(config.data, "val", None).saliency[0][0].image
    prediction = Predictor.load(result.checkpoint, "cpu").predict(image)
    assert prediction.density is not None
    assert prediction.score is None


def test_a_network_for_ratings_alone_trains(tiny_config, tmp_path):
    config = tiny_config("model.saliency=false", "model.guidance=false", "train.epochs=1")
    result = train(config, tmp_path / "run", device="cpu")
    image = build_sets(config.data, "val", None).rated[0][0].image
    prediction = Predictor.load(result.checkpoint, "cpu").predict(image)
    assert prediction.density is None
    assert prediction.score is not None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (['data.sets=[{name="a",layout="drawn"}]'], "model.aesthetics.*set with ratings"),
        (
            ['data.sets=[{name="a",layout="drawn",rated=true}]'],
            "model.saliency.*set with fixations",
        ),
        (["train.rated_per_batch=0"], "train.rated_per_batch > 0"),
        (["train.saliency_per_batch=0"], "train.saliency_per_batch > 0"),
        (["model.aesthetics=false"], "`guidance` needs both heads"),
        (["weighting.name=best"], r"`name` should be one of \[.*'uwso'\]\. Found 'best'"),
        (["weighting.name=mgda", "model.aesthetic_gradient=0"], "gradients of each task"),
        (
            ["weighting.name=gradnorm", "model.frozen_stride=32", "model.final_features=false"],
            "Found 0 trained",
        ),
        (["weighting.name=fixed", "weighting.weights={saliency=1}"], "aesthetics"),
        (["data.height=100"], "multiples of 32"),
        (["model.encoder=resnet1"], "Found 'resnet1'"),
        (["model.encoder_weights=absent.safetensors"], r"absent\.safetensors"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(tiny_config, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        train(tiny_config(*overrides), tmp_path / "run", device="cpu")


def test_a_stop_ends_a_validation_at_its_next_image_and_the_run_goes_on_exactly(
    tiny_config, tmp_path, monkeypatch
):
    config = tiny_config("data.sets.0.count=8", "train.epochs=2")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(config, whole, device="cpu")
    seen = []

    def evaluate_until_ctrl_c(*args, on_image, **options):
        def after_image():
            seen.append(1)
            if len(seen) == 1:
                signal.raise_signal(signal.SIGINT)
            on_image()

        return evaluate(*args, on_image=after_image, **options)

    with monkeypatch.context() as patched:
        patched.setattr(validation, "evaluate", evaluate_until_ctrl_c)
        assert train(config, stopped, device="cpu").interrupted
    assert len(seen) == 1
    assert not (stopped / "metrics.jsonl").is_file()
    assert_same_run(run_to_the_end(config, stopped), whole)


class TestEveryWeighting:
    @pytest.fixture(
        params=[
            name
            if name in ("gradnorm", "dtp", "lbtw")  # they hear all that there is to hear
            else pytest.param(name, marks=pytest.mark.slow)
            for name in STRATEGIES
        ]
    )
    def config(self, request, tiny_config):
        """Three epochs of two steps, the least in which all weights move."""
        chosen = ["weighting.weights={saliency=1, aesthetics=10}"]
        return tiny_config(
            f"weighting.name={request.param}",
            *(chosen if request.param == "fixed" else ()),
            "data.sets.0.count=8",
            "train.epochs=3",
        )

    def test_trains_both_tasks_and_resumes_exactly(self, config, tmp_path):
        whole, stopped = tmp_path / "whole", tmp_path / "stopped"
        reporter = Watching(whole)
        assert not train(config, whole, device="cpu", reporter=reporter).interrupted
        for values in reporter.seen:
            assert min(values["loss/saliency"], values["loss/aesthetics"]) > 0
            assert min(values["weight/saliency"], values["weight/aesthetics"]) >= 0
            shares = values["share/saliency"] + values["share/aesthetics"]
            assert shares == pytest.approx(2, rel=1e-5)
        train(config, stopped, device="cpu", reporter=Interrupting(stopped, 5))
        assert_same_run(run_to_the_end(config, stopped), whole)


class Listening(EqualWeighting):
    """A strategy that writes down what it hears."""

    def __init__(self):
        super().__init__(2)
        self.heard = []

    def start(self, constant_losses):
        self.heard.append(("start", constant_losses()))

    def end_epoch(self, mean_losses):
        self.heard.append(("end_epoch", list(mean_losses)))

    def observe(self, indicators):
        self.heard.append(("observe", list(indicators)))


def test_strategies_hear_the_start_every_epoch_and_every_validation(
    tiny_config, tmp_path, monkeypatch
):
    weighting = Listening()
    monkeypatch.setattr(UncertaintyOptions, "build", lambda options, tasks: weighting)
    config = tiny_config("train.epochs=3", "train.validate_every=2")
    train(config, tmp_path / "run", device="cpu")
    (_, prior), *rest = weighting.heard
    assert min(prior) > 0
    assert [name for name, _ in rest] == ["end_epoch"] * 2 + ["observe", "end_epoch", "observe"]
    told = dict(rest)  # the last of each
    row = rows(tmp_path / "run")[-1]
    assert told["end_epoch"] == [row["train"][f"loss/{t}"] for t in ("saliency", "aesthetics")]
    looked, rated = row["val"]["looked"], row["val"]["rated"]  # the latter has both labels
    assert told["observe"] == pytest.approx([(looked["CC"] + rated["CC"]) / 2, rated["SRCC"]])


@pytest.mark.parametrize("name", ["gradient", "gradnorm", "mgda"])
@pytest.mark.parametrize("shared", ["features", "last_layer", "parameters"])
def test_gradients_may_be_looked_at_anywhere(tiny_config, tmp_path, name, shared):
    config = tiny_config(
        f"weighting.name={name}",
        f"weighting.shared={shared}",
        "data.sets.0.count=8",
        "model.frozen_stride=4",
        "train.epochs=1",
    )
    reporter = Watching(tmp_path / "run")
    train(config, tmp_path / "run", device="cpu", reporter=reporter)
    assert len({values["weight/saliency"] for values in reporter.seen}) == 2


@pytest.mark.parametrize("name", ["gradient", "gradnorm", "mgda"])
def test_gradients_may_be_of_half_precision(tiny_config, tmp_path, name):
    config = tiny_config(
        f"weighting.name={name}",
        "weighting.shared=features",
        "train.precision=bfloat16",
        "data.sets.0.count=8",
        "train.epochs=1",
    )
    reporter = Watching(tmp_path / "run")
    train(config, tmp_path / "run", device="cpu", reporter=reporter)
    assert len({values["weight/saliency"] for values in reporter.seen}) == 2


def test_the_prior_is_measured_once(tiny_config, tmp_path, monkeypatch):
    calls = []

    def measure(*args, **kwargs):
        calls.append(args)
        return [2.0, 0.05]

    monkeypatch.setattr(objective, "constant_losses", measure)
    config, run_dir = tiny_config("weighting.name=prior"), tmp_path / "run"
    reporter = Interrupting(run_dir, 1)
    train(config, run_dir, device="cpu", reporter=reporter)
    reporter = Watching(run_dir)
    train(config, run_dir, device="cpu", reporter=reporter)
    assert len(calls) == 1
    assert reporter.seen[0]["weight/aesthetics"] == pytest.approx(20)


def test_normalised_weights_are_those_that_losses_are_multiplied_by(tiny_config, tmp_path):
    reporter = Watching(tmp_path / "run")
    config = tiny_config(
        "weighting.name=fixed",
        "weighting.weights={aesthetics=30, saliency=10}",
        "weighting.normalize=true",
        "train.feature_anchor=0",
    )
    train(config, tmp_path / "run", device="cpu", reporter=reporter)
    first = reporter.seen[0]
    assert (first["weight/saliency"], first["weight/aesthetics"]) == (0.5, 1.5)
    assert first["loss"] == pytest.approx(
        0.5 * first["loss/saliency"] + 1.5 * first["loss/aesthetics"], rel=1e-5
    )


def test_the_tasks_gradients_are_compared_now_and_then(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(objective, "COSINE_EVERY", 3)
    reporter = Watching(tmp_path / "run")
    train(tiny_config(), tmp_path / "run", device="cpu", reporter=reporter)
    cosines = [values.get("cosine/saliency~aesthetics") for values in reporter.seen]
    assert [i for i, cosine in enumerate(cosines) if cosine is not None] == [2, 5]
    assert 0 < abs(cosines[2]) < 1
    means = [row["train"]["cosine/saliency~aesthetics"] for row in rows(tmp_path / "run")]
    assert means == [cosines[2], cosines[5]]  # not divided by the steps without one


def test_a_row_tells_how_much_worse_validation_is(whole, tiny_config):
    (row, *_) = rows(whole)
    sets = build_sets(tiny_config().data, "val", None)
    assert set(row["gap"]) == {"saliency", "aesthetics"}
    network = load_checkpoint(whole / "last.safetensors").network.eval()
    preprocessing = load_checkpoint(whole / "last.safetensors").preprocessing
    tasks = build_tasks(tiny_config(), sets)
    batches = PlainBatches(sets, preprocessing, 200)
    losses = mean_losses(tasks, lambda batch: network(batch.images), batches)
    last = rows(whole)[-1]
    for task, loss in zip(tasks, losses, strict=True):
        expected = loss - last["train"][f"loss/{task.name}"]
        assert last["gap"][task.name] == pytest.approx(expected, abs=2e-3)  # float16 weights


def test_a_task_has_the_weight_that_was_fixed(tiny_config, tmp_path):
    reporter = Watching(tmp_path / "run")
    config = tiny_config("weighting.name=fixed", "weighting.weights={aesthetics=10, saliency=2}")
    train(config, tmp_path / "run", device="cpu", reporter=reporter)
    first = reporter.seen[0]
    assert (first["weight/saliency"], first["weight/aesthetics"]) == (2, 10)
    assert first["loss"] == pytest.approx(
        2 * first["loss/saliency"] + 10 * first["loss/aesthetics"], rel=1e-5
    )


def test_uncertainty_weights_move(tiny_config, tmp_path):
    reporter = Watching(tmp_path / "run")
    train(tiny_config(), tmp_path / "run", device="cpu", reporter=reporter)
    assert reporter.seen[0]["weight/saliency"] != reporter.seen[-1]["weight/saliency"]


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_do(tiny_config, tmp_path):
    config = tiny_config("train.saliency_lr=1e30", "train.warmup_steps=0")
    with pytest.raises(SaliencyError, match=r"loss should be finite.*lower the learning rates"):
        train(config, tmp_path / "run", device="cpu")


def test_a_run_without_progress_ends_early(tiny_config, tmp_path):
    config = tiny_config(
        "train.epochs=9",
        "train.patience=2",
        *(f"train.{branch}_lr=0" for branch in ("encoder", "saliency", "aesthetic")),
    )
    result = train(config, tmp_path / "run", device="cpu")
    assert [row["epoch"] for row in rows(tmp_path / "run")] == [1, 2, 3]
    assert result.epoch == 1
    assert not result.interrupted


def test_validation_may_skip_epochs_but_not_the_last(tiny_config, tmp_path):
    train(tiny_config("train.epochs=3", "train.validate_every=2"), tmp_path / "run", device="cpu")
    assert [row["epoch"] for row in rows(tmp_path / "run")] == [2, 3]


def test_every_epoch_is_a_row_with_losses_and_metrics_of_every_set(whole):
    assert [(row["epoch"], row["step"]) for row in rows(whole)] == [(1, 4), (2, 8)]
    for row in rows(whole):
        assert {"loss", "loss/saliency", "loss/aesthetics", "weight/saliency"} <= set(row["train"])
        assert {"CC", "NSS", "KLDiv", "SIM"} <= set(row["val"]["looked"])
        assert {"SRCC", "PLCC"} <= set(row["val"]["rated"])


def test_a_rows_losses_are_means_over_the_epoch(tiny_config, tmp_path):
    reporter = Watching(tmp_path / "run")
    train(tiny_config(), tmp_path / "run", device="cpu", reporter=reporter)
    means = [sum(v["loss/saliency"] for v in reporter.seen[i : i + 4]) / 4 for i in (0, 4)]
    assert [row["train"]["loss/saliency"] for row in rows(tmp_path / "run")] == pytest.approx(means)


def test_the_score_is_the_mean_of_what_each_task_is_judged_by(whole):
    for row in rows(whole):
        looked, rated = row["val"]["looked"], row["val"]["rated"]  # the latter has both labels
        map_score = (looked["CC"] + rated["CC"]) / 2
        assert row["score"] == pytest.approx((map_score + rated["SRCC"]) / 2)


def test_the_best_checkpoint_knows_its_metrics_and_its_config(whole, tiny_config):
    card = load_checkpoint(whole / "best.safetensors").card
    assert card.metrics == max(rows(whole), key=lambda row: row["score"])["val"]
    assert card.config == to_public(tiny_config())
    assert card.data == ("looked", "rated")


def test_the_best_checkpoint_reaches_the_metrics_that_were_reported(whole, tiny_config):
    (looked,) = build_sets(tiny_config().data, "val", None).saliency
    predictor = Predictor.load(whole / "best.safetensors", "cpu")
    found = evaluate(predictor, looked, full=False).measures["CC"].value
    reported = predictor.card.metrics["looked"]["CC"]
    assert found == pytest.approx(reported, abs=2e-3)  # weights are stored as float16


def test_training_leaves_nothing_half_written(whole):
    assert {path.name for path in whole.iterdir()} == {
        "best.safetensors",
        "last.safetensors",
        "metrics.jsonl",
        "state.safetensors",
        "tensorboard",
    }
