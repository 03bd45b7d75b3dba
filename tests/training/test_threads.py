import pytest
import torch
from torch import nn

from saliency.training import threads
from saliency.training.threads import choose_threads, using_threads

CPU = torch.device("cpu")
SMALL, LARGE = nn.Linear(10, 10), nn.Linear(1000, 1001)


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch):
    """Let torch have two threads, and nobody else have chosen."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def measured(monkeypatch, by_threads):
    monkeypatch.setattr(threads, "_time_convolution", by_threads.__getitem__)


def in_use(wanted, network):
    with using_threads(wanted, network, CPU):
        return torch.get_num_threads()


def test_a_small_network_has_one_thread():
    assert in_use(0, SMALL) == 1


def test_a_large_one_has_all_where_they_are_faster(monkeypatch):
    measured(monkeypatch, {1: 2.0, 2: 1.1})
    assert in_use(0, LARGE) == 2


def test_a_large_one_has_one_where_others_keep_the_cores_busy(monkeypatch):
    measured(monkeypatch, {1: 2.0, 2: 9.0})
    assert in_use(0, LARGE) == 1


def test_the_config_comes_first(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert in_use(3, SMALL) == 3


def test_the_environment_comes_next(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert in_use(0, SMALL) == 2


def test_afterwards_there_are_as_many_as_before():
    in_use(3, SMALL)
    assert torch.get_num_threads() == 2


def test_measuring_takes_any_number_of_threads():
    assert choose_threads(LARGE) in (1, 2)
