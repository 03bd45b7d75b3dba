"""A checkpoint rebuilds itself, is small, and is refused by name when it is anything else."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import saliency.checkpoint
from saliency.checkpoint import (
    RELEASES,
    Card,
    Checkpoint,
    count_parameters,
    find_weights,
    identify,
    load_checkpoint,
    read_header,
    released_weights,
    save_checkpoint,
    to_sha256,
)
from saliency.errors import CheckpointError
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.sharing import SCHEMES
from saliency.preprocessing import Preprocessing

ARCHITECTURE = Architecture(
    "test_efficientnet",
    saliency_strides=(8, 16),
    decoder_channels=16,
    auxiliary_outputs=1,
    datasets=("osie", "salicon"),
)
PREPROCESSING = Preprocessing(64, 96, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CARD = Card(
    version="1.2",
    license="CC-BY-4.0",
    data=("OSIE, 500 images", "Ünïcode ★"),
    metrics={"osie": {"cc": 0.82}, "salicon": {}},
    config={"train": {"epochs": 3, "lr": 1e-3}, "note": None},
    commit="abc123",
)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    network = SaliencyNetwork(ARCHITECTURE).eval()
    for parameter in network.priors.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return Checkpoint(network, PREPROCESSING, CARD)


@pytest.fixture(scope="module")
def path(checkpoint, tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, checkpoint)
    return path


def contents(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, file.metadata()


def tampered(path: Path, target: Path, field: str, change: Callable[[Any], Any]) -> Path:
    """Copy the checkpoint at `path` with the JSON value of one metadata field changed."""
    tensors, metadata = contents(path)
    metadata[field] = json.dumps(change(json.loads(metadata[field])))
    save_file(tensors, target, metadata)
    return target


def assert_refused(path: Path, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_predictions_survive_as_well_as_float16_can_keep_them(checkpoint, path):
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    index = torch.tensor([0, 2])
    with torch.no_grad():
        before, after = (
            checkpoint.network(images, index),
            load_checkpoint(path).network(images, index),
        )
    torch.testing.assert_close(after.log_density, before.log_density, rtol=0, atol=0.01)
    torch.testing.assert_close(after.score_logits, before.score_logits, rtol=0, atol=0.01)


def test_saving_again_loses_nothing_more(path, tmp_path):
    save_checkpoint(tmp_path / "again.safetensors", load_checkpoint(path))
    first, second = contents(path)[0], contents(tmp_path / "again.safetensors")[0]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_architecture_survives(path):
    assert load_checkpoint(path).network.architecture == ARCHITECTURE


def test_the_preprocessing_survives(path):
    assert load_checkpoint(path).preprocessing == PREPROCESSING


def test_the_card_survives(path):
    assert load_checkpoint(path).card == CARD


def test_a_loaded_network_is_in_evaluation_mode(path):
    assert not load_checkpoint(path).network.training


def test_a_loaded_network_is_float32(path):
    parameters = load_checkpoint(path).network.parameters()
    assert {p.dtype for p in parameters} == {torch.float32}


def test_saving_leaves_the_network_float32(checkpoint, path):
    assert {p.dtype for p in checkpoint.network.parameters()} == {torch.float32}


def test_all_floats_are_float16_on_disk(path):
    floats = [t for t in contents(path)[0].values() if t.is_floating_point()]
    assert {t.dtype for t in floats} == {torch.float16}


def test_the_file_takes_little_more_than_two_bytes_a_number(checkpoint, path):
    numbers = sum(tensor.numel() for tensor in checkpoint.network.state_dict().values())
    assert path.stat().st_size < 2 * numbers + 50_000


def test_a_number_too_large_for_float16_is_kept(checkpoint, tmp_path):
    network = SaliencyNetwork(ARCHITECTURE)
    with torch.no_grad():
        network.aesthetics.logits.bias.fill_(1e6)
    save_checkpoint(tmp_path / "large.safetensors", Checkpoint(network, PREPROCESSING, CARD))
    loaded = load_checkpoint(tmp_path / "large.safetensors").network
    assert loaded.aesthetics.logits.bias.tolist() == [1e6] * 10


def test_all_but_the_tensors_is_json(path):
    """Nothing in the file is ever unpickled."""
    data = path.read_bytes()
    header_bytes = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_bytes])
    metadata = header.pop("__metadata__")
    assert {type(json.loads(v)) for k, v in metadata.items() if k != "format"} <= {dict, int}
    ends = [tensor["data_offsets"][1] for tensor in header.values()]
    assert 8 + header_bytes + max(ends) == len(data)


def test_missing_folders_are_made(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "a" / "b.safetensors", checkpoint)
    assert (tmp_path / "a" / "b.safetensors").is_file()


@pytest.mark.parametrize("name", ["absent.safetensors", "."])
def test_what_is_no_file_is_refused(name, tmp_path):
    assert_refused(tmp_path / name, "should be a file")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(share, path, tmp_path):
    data = path.read_bytes()
    (tmp_path / "half.safetensors").write_bytes(data[: int(share * len(data))])
    assert_refused(tmp_path / "half.safetensors", "damaged or foreign")


def test_a_text_file_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("Dear checkpoint, be a network.")
    assert_refused(tmp_path / "notes.txt", "damaged or foreign")


def test_a_pickle_is_refused(checkpoint, tmp_path):
    torch.save(checkpoint.network.state_dict(), tmp_path / "network.pth")
    assert_refused(tmp_path / "network.pth", "damaged or foreign")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_another_projects_safetensors_are_refused(metadata, tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata)
    assert_refused(tmp_path / "other.safetensors", "another safetensors file")


def test_another_format_version_is_refused_with_its_number(path, tmp_path):
    newer = tampered(path, tmp_path / "newer.safetensors", "format_version", lambda _: 99)
    assert_refused(newer, "Found 99")


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a | {"encoder": "no_such_network"},
        lambda a: a | {"encoder": "hf-hub:someone/something"},
        lambda a: a | {"encoder": 5},
        lambda a: a | {"encoder": "test_convnext"},
        lambda a: a | {"decoder_channels": 24},
        lambda a: a | {"decoder_channels": 0},
        lambda a: a | {"decoder_channels": "many"},
        lambda a: a | {"aesthetics": False, "guidance": False},
        lambda a: a | {"datasets": ["osie"]},
        lambda a: a | {"saliency_strides": 4},
        lambda a: a | {"dropout": 7},
        lambda a: a | {"colour": "red"},
        lambda a: {},
        lambda a: [],
        lambda a: None,
        lambda a: "network",
    ],
)
def test_an_architecture_that_does_not_fit_is_refused(change, path, tmp_path):
    file = tampered(path, tmp_path / "changed.safetensors", "architecture", change)
    assert_refused(file, "fill its own network")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("preprocessing", lambda p: p | {"height": 65}),
        ("preprocessing", lambda p: p | {"resize": "crop"}),
        ("preprocessing", lambda p: None),
        ("card", lambda c: c | {"colour": "red"}),
        ("card", lambda c: []),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(field, change, path, tmp_path):
    file = tampered(path, tmp_path / "changed.safetensors", field, change)
    assert_refused(file, "describe")


@pytest.mark.parametrize("field", ["architecture", "preprocessing", "card"])
@pytest.mark.parametrize("text", [None, "", "{", "{'encoder': 1}"])
def test_a_missing_or_broken_description_is_refused(field, text, path, tmp_path):
    tensors, metadata = contents(path)
    del metadata[field]
    save_file(tensors, tmp_path / "b.safetensors", metadata | ({field: text} if text else {}))
    assert_refused(tmp_path / "b.safetensors", "describe")


def test_a_missing_tensor_is_refused(path, tmp_path):
    tensors, metadata = contents(path)
    del tensors["decoder.head.weight"]
    save_file(tensors, tmp_path / "lacking.safetensors", metadata)
    assert_refused(tmp_path / "lacking.safetensors", r"decoder\.head\.weight")


def test_a_tensor_too_many_is_refused(path, tmp_path):
    tensors, metadata = contents(path)
    save_file(tensors | {"extra": torch.zeros(1)}, tmp_path / "more.safetensors", metadata)
    assert_refused(tmp_path / "more.safetensors", "extra")


def test_sha256_is_that_of_the_bytes(path):
    assert to_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("place", ["saliency/weights", "weights"])
def test_released_weights_are_found_in_a_wheel_and_in_a_checkout(place, tmp_path, monkeypatch):
    monkeypatch.setattr(saliency.checkpoint, "PACKAGE", tmp_path / "saliency")
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "aesthetic-saliency.safetensors").touch()
    assert released_weights() == tmp_path / place / "aesthetic-saliency.safetensors"


def test_released_weights_have_names(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr("saliency.checkpoint.PACKAGE", tmp_path)
    for name, file in RELEASES.items():
        (tmp_path / "weights" / file).touch()
        assert find_weights(name) == tmp_path / "weights" / file
    assert find_weights(None) == find_weights("default")
    assert find_weights("runs/default") == Path("runs/default")


def test_absent_released_weights_are_an_error_that_says_where_they_should_be(tmp_path, monkeypatch):
    monkeypatch.setattr(saliency.checkpoint, "PACKAGE", tmp_path / "saliency")
    with pytest.raises(CheckpointError, match=str(tmp_path / "weights")):
        released_weights()


def test_the_header_is_read_without_the_weights(path, checkpoint):
    header = read_header(path)
    assert header.architecture == asdict(checkpoint.network.architecture)
    assert (header.preprocessing, header.card) == (PREPROCESSING, CARD)


def test_a_header_that_describes_nothing_is_refused(path, tmp_path):
    damaged = tampered(path, tmp_path / "odd.safetensors", "preprocessing", lambda _: {"height": 1})
    with pytest.raises(CheckpointError, match="Found a mismatch"):
        read_header(damaged)


def test_a_checkpoint_is_identified_by_its_bytes_also_after_they_change(path, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(path.read_bytes())
    assert identify(copy) == to_sha256(path)
    copy.write_bytes(path.read_bytes() + b" ")
    assert identify(copy) == to_sha256(copy) != to_sha256(path)


@pytest.mark.parametrize("sharing", list(SCHEMES))
def test_parameters_are_counted_from_the_file_as_in_the_network(sharing, tmp_path):
    network = SaliencyNetwork(replace(ARCHITECTURE, sharing=SCHEMES[sharing]()))
    save_checkpoint(tmp_path / "w.safetensors", Checkpoint(network, PREPROCESSING, CARD))
    assert count_parameters(tmp_path / "w.safetensors") == sum(
        parameter.numel() for parameter in network.parameters()
    )
