import multiprocessing
import os
from dataclasses import replace

import pytest
import torch

from saliency.datasets.sets import build_sets
from saliency.devices import count_cores
from saliency.errors import SaliencyError
from saliency.preprocessing import Preprocessing
from saliency.training.data import (
    TrainingLoader,
    living_loaders,
    start_loader,
    training_sizes,
)

PARTS = ("train", "val", "test")
PREPROCESSING = Preprocessing(64, 96, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def loader(config):
    return TrainingLoader(config, build_sets(config.data, "train", None), PREPROCESSING)


def assert_equal_batches(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        for name in type(one).__slots__:
            assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_batches_from_a_step_on_are_the_tail_of_the_whole_epoch(tiny_config):
    config = tiny_config()
    whole = list(loader(config).epoch(1))
    assert_equal_batches(whole[3:], loader(config).epoch(1, first_step=3))


def test_an_epoch_is_the_same_whatever_came_before(tiny_config):
    config = tiny_config()
    used = loader(config)
    list(used.epoch(0))
    assert_equal_batches(used.epoch(1), loader(config).epoch(1))


def test_worker_processes_change_nothing(tiny_config):
    assert_equal_batches(
        loader(tiny_config()).epoch(0), loader(tiny_config("data.workers=2")).epoch(0)
    )


def test_there_are_no_more_workers_than_cores(tiny_config):
    assert loader(tiny_config("data.workers=1000")).workers == count_cores()


# The signal of the process's end may reach Python while the loader is being deleted, where torch's
# handler raises into the interpreter, which can only warn.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_killed_loader_process_is_one_line(tiny_config):
    others = set(multiprocessing.active_children())
    batches = loader(tiny_config("data.workers=1", "train.saliency_per_batch=1")).epoch(0)
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - others

    def load_on() -> None:
        worker.kill()
        list(batches)

    # DataLoader worker (pid ...), or the connection that it was sending by.
    told = r"Found one gone: .*\. If memory was short, take fewer"
    with pytest.raises(SaliencyError, match=told), living_loaders():
        load_on()


@pytest.mark.parametrize(("parent_is_gone", "exit_code"), [(True, 1), (False, 0)])
def test_a_loader_whose_parent_is_gone_ends(parent_is_gone, exit_code):
    process = multiprocessing.get_context("fork").Process(target=_load, args=(parent_is_gone,))
    process.start()
    process.join()
    assert process.exitcode == exit_code


def _load(parent_is_gone):
    if parent_is_gone:
        os.getppid = lambda: 1  # as the system says of an orphan
    start_loader(0)


def test_processes_that_train_together_share_the_cores(tiny_config, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert loader(tiny_config("data.workers=8")).workers == 1
    assert loader(tiny_config()).workers == 0


def test_other_errors_of_a_run_stay_what_they_are():
    with pytest.raises(RuntimeError, match="out of memory"), living_loaders():
        raise RuntimeError("out of memory")


def test_loading_leaves_torchs_random_numbers_alone(tiny_config):
    batches = loader(tiny_config()).epoch(0)
    before = torch.get_rng_state()
    list(batches)
    assert torch.equal(torch.get_rng_state(), before)


def test_epochs_differ(tiny_config):
    batches = loader(tiny_config())
    first, second = next(iter(batches.epoch(0))), next(iter(batches.epoch(1)))
    assert not torch.equal(first.images, second.images)


def test_seeds_differ(tiny_config):
    one, other = (next(iter(loader(tiny_config(f"train.seed={s}")).epoch(0))) for s in (0, 1))
    assert not torch.equal(one.images, other.images)


def test_the_end_of_an_epoch_has_no_batches_left(tiny_config):
    batches = loader(tiny_config())
    assert list(batches.epoch(0, first_step=batches.steps_per_epoch)) == []


def test_a_head_that_is_missing_gets_no_images(tiny_config):
    no_ratings = tiny_config("model.aesthetics=false", "model.guidance=false")
    assert not any(batch.has_rating.any() for batch in loader(no_ratings).epoch(0))


def test_rated_images_use_the_neutral_priors(tiny_config):
    batch = next(iter(loader(tiny_config()).epoch(0)))
    assert (batch.dataset_index[batch.has_rating] == 0).all()
    assert (batch.dataset_index[~batch.has_rating] == 1).all()


class TestSeveralSizes:
    SEVERAL = replace(PREPROCESSING, further_sizes=((64, 64), (32, 160)))
    OVERRIDES = ("data.height=64", "data.width=96", "data.further_sizes=[[64,64],[32,160]]")

    def loader(self, config):
        return TrainingLoader(config, build_sets(config.data, "train", None), self.SEVERAL)

    def test_batches_are_trained_at_all_that_are_near_the_main_one(self):
        assert training_sizes(self.SEVERAL) == ((64, 96), (64, 64))
        assert training_sizes(PREPROCESSING) == ((64, 96),)

    def test_each_batch_has_one_size_and_the_epoch_has_several(self, tiny_config):
        config = tiny_config(*self.OVERRIDES, "train.saliency_per_batch=1")
        sizes = {tuple(batch.images.shape[2:]) for batch in self.loader(config).epoch(0)}
        assert sizes == {(64, 96), (64, 64)}

    def test_batches_from_a_step_on_are_the_tail_of_the_whole_epoch(self, tiny_config):
        config = tiny_config(*self.OVERRIDES, "train.saliency_per_batch=1")
        whole = list(self.loader(config).epoch(1))
        assert_equal_batches(whole[3:], self.loader(config).epoch(1, first_step=3))
