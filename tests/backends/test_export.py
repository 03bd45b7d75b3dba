"""Whatever the architecture, the exported network computes what the network does."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from saliency import Card, Checkpoint, Predictor, save_checkpoint
from saliency.attributes import Attribute
from saliency.backends.export import export_graphs
from saliency.checkpoint import to_sha256
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing

BOTH = Architecture("test_efficientnet", decoder_channels=16)
ARCHITECTURES = {
    "saliency alone": replace(BOTH, aesthetics=False, guidance=False),
    "aesthetics alone": replace(BOTH, saliency=False, guidance=False),
    "gate, attention, data sets": replace(
        BOTH, guidance_form="gate", score_attention=True, datasets=("osie", "salicon")
    ),
    "final features": replace(BOTH, final_features=True),
    "errors stated": replace(
        BOTH,
        attributes=(Attribute("mood"), Attribute("kind", classes=("a", "b")), Attribute("calm")),
        heteroscedastic=True,
    ),
}


def assert_same(weights, photos):
    exported, reference = (Predictor.load(weights, "cpu", backend=b) for b in ("onnx", "torch"))
    for photo in photos:
        found, expected = exported.predict(photo), reference.predict(photo)
        if expected.density is None:
            assert found.density is None
        else:
            assert np.abs(found.density - expected.density).max() < 0.01 * expected.density.max()
        if expected.score is None:
            assert found.score is None
        else:
            assert found.score == pytest.approx(expected.score, abs=0.005)
        assert (found.uncertainty is None) == (expected.uncertainty is None)
        if expected.uncertainty is not None:
            assert found.uncertainty.score_error_std == pytest.approx(
                expected.uncertainty.score_error_std, rel=0.005
            )
        for mine, its in zip(found.attributes, expected.attributes, strict=True):
            assert (mine.name, mine.label) == (its.name, its.label)
            if its.value is not None:
                assert mine.value == pytest.approx(its.value, abs=0.005)
            else:
                assert mine.probabilities == pytest.approx(its.probabilities, abs=0.005)
            assert (mine.std is None) == (its.std is None)
            if its.std is not None:
                assert mine.std == pytest.approx(its.std, rel=0.005)


def test_it_computes_what_the_network_does(exported, photos):
    assert_same(exported, photos)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_so_it_does_for_every_kind_of_network(name, photos, tmp_path):
    torch.manual_seed(0)
    network = SaliencyNetwork(ARCHITECTURES[name])
    for parameter in network.error_parameters():  # else all photos have the same
        torch.nn.init.normal_(parameter)
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    weights = tmp_path / "own.safetensors"
    save_checkpoint(weights, Checkpoint(network, preprocessing, Card()))
    export_graphs(weights)
    assert_same(weights, photos)


@pytest.mark.parametrize("size", ["64x96", "96x64"])
def test_the_file_tells_other_programs_what_it_is(size, exported):
    model = onnx.load(exported.with_name(f"{exported.stem}.{size}.onnx"))
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["checkpoint_sha256"] == to_sha256(exported)
    assert json.loads(metadata["preprocessing"])["height"] == 64
    assert json.loads(metadata["card"])["data"] == ["nothing"]
    assert [entry.name for entry in model.graph.input] == ["images"]
    assert [entry.name for entry in model.graph.output] == ["log_density", "score_logits"]


def test_the_file_names_no_folder_of_its_maker(exported):
    for path in exported.parent.glob("*.onnx"):
        assert b".py" not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()


def test_large_constants_take_half_the_room(exported):
    model = onnx.load(exported.with_name(f"{exported.stem}.64x96.onnx"))
    large = [c for c in model.graph.initializer if np.prod(c.dims) >= 2048]
    assert large
    assert {c.data_type for c in large} == {onnx.TensorProto.FLOAT16}
