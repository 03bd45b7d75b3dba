"""An exported network is used for the checkpoint that it was made from and for no other."""

import logging
import shutil
from dataclasses import replace

import onnx
import pytest

from saliency.backends import export
from saliency.backends.graphs import find_graphs, name_data, name_graphs
from saliency.checkpoint import (
    load_checkpoint,
    read_header,
    released_weights,
    save_checkpoint,
    to_sha256,
)
from saliency.errors import BackendError
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
    assert set(graphs.paths) == {(64, 96), (96, 64)}
    assert {path.parent for path in graphs.paths.values()} == {copied.parent}


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


def describe(copied, **metadata):
    """Give the exported networks of a checkpoint other metadata."""
    for path in name_graphs(copied, PREPROCESSING).values():
        model = onnx.load(path, load_external_data=False)
        onnx.helper.set_model_props(model, metadata)
        path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("read", "is_found"),
    [("{}", True), ("before-it-was-renamed.onnx_data", False), ("before-{}", False)],
)
def test_a_graph_that_reads_its_weights_finds_them_by_their_name(read, is_found, copied):
    describe(copied, checkpoint_sha256=to_sha256(copied), weights_file=read.format(copied.name))
    assert (find_graphs(copied, PREPROCESSING) is not None) == is_found


def test_names_of_more_than_a_byte_for_their_length_are_told(copied):
    long = copied.with_name(f"{'long' * 40}.safetensors")
    for before, after in zip(
        name_graphs(copied, PREPROCESSING).values(),
        name_graphs(long, PREPROCESSING).values(),
        strict=True,
    ):
        before.rename(after)
    copied.rename(long)
    describe(long, checkpoint_sha256=to_sha256(long), weights_file=long.name)
    assert find_graphs(long, PREPROCESSING) is not None


def test_one_of_a_checkpoint_with_a_long_card_is_found(copied, monkeypatch):
    models = {size: onnx.load(path) for size, path in name_graphs(copied, PREPROCESSING).items()}
    monkeypatch.setattr(export, "_to_onnx", lambda _, size: models[size])  # that takes seconds
    checkpoint = load_checkpoint(copied)
    card = replace(checkpoint.card, data=tuple(f"{n}: some photos" for n in range(500)))
    save_checkpoint(copied, replace(checkpoint, card=card))
    export.export_graphs(copied)
    assert find_graphs(copied, PREPROCESSING) is not None


@pytest.mark.parametrize("is_deleted", [False, True])
def test_one_that_was_replaced_before_it_is_loaded_is_refused(is_deleted, copied):
    graphs = find_graphs(copied, PREPROCESSING)
    assert graphs.current((64, 96)) == graphs.paths[64, 96]
    if is_deleted:
        copied.unlink()
    else:
        copied.write_bytes(copied.read_bytes() + b" ")
    with pytest.raises(BackendError, match="load the checkpoint again"):
        graphs.current((64, 96))


@pytest.mark.parametrize("is_own", [True, False])
def test_weights_of_another_export_are_not_read(is_own, copied):
    sha256, data = to_sha256(copied), name_data(copied)
    describe(copied, checkpoint_sha256=sha256, weights_file=data.name)
    data.write_bytes((sha256 if is_own else "0" * 64).encode() + bytes(100))
    assert (find_graphs(copied, PREPROCESSING) is not None) == is_own


def test_weights_behind_a_link_are_not_read(copied):
    describe(copied, checkpoint_sha256=to_sha256(copied), weights_file=copied.name)
    elsewhere = copied.parent / "elsewhere"
    elsewhere.mkdir()
    copied.rename(elsewhere / copied.name)
    copied.symlink_to(elsewhere / copied.name)
    assert find_graphs(copied, PREPROCESSING) is None
