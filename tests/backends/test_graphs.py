"""An exported network is used for the checkpoint that it was made from and for no other."""

import logging
import shutil

import pytest

from saliency.backends.graphs import find_graphs, name_graphs
from saliency.checkpoint import read_header, released_weights
from saliency.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(64, 96, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def copied(exported, tmp_path):
    """A checkpoint of one's own with its exported network beside it."""
    for path in exported.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / exported.name


def test_there_is_one_for_each_orientation(copied):
    graphs = find_graphs(copied, PREPROCESSING)
    assert set(graphs) == {(64, 96), (96, 64)}
    assert {path.parent for path in graphs.values()} == {copied.parent}


def test_a_square_input_needs_one(tmp_path):
    square = Preprocessing(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert list(name_graphs(tmp_path / "a.safetensors", square)) == [(64, 64)]


def test_without_export_there_is_none(tiny_weights):
    assert find_graphs(tiny_weights, PREPROCESSING) is None


@pytest.mark.parametrize("suffix", ["64x96.onnx", "96x64.onnx"])
def test_one_orientation_alone_is_not_enough(suffix, copied):
    copied.with_name(f"{copied.stem}.{suffix}").unlink()
    assert find_graphs(copied, PREPROCESSING) is None


def test_that_of_another_checkpoint_is_not_used_and_the_log_says_so(copied, caplog):
    copied.write_bytes(copied.read_bytes() + b" ")
    with caplog.at_level(logging.WARNING):
        assert find_graphs(copied, PREPROCESSING) is None
    assert f"saliency export {copied}" in caplog.text


def test_the_released_weights_have_theirs():
    weights = released_weights()
    assert find_graphs(weights, read_header(weights).preprocessing)
