"""Graphs that read their weights from another file compute what they did with their own copy."""

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import save_file

from saliency.backends.graphs import name_data
from saliency.backends.outside_weights import move_weights_out
from saliency.checkpoint import to_sha256

WIDTH, HEIGHT = 64, 40


@pytest.fixture
def weight():
    return np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)).astype(np.float16)


def build(constant):
    """Return y = x W, with W as float16 that is widened when it is read."""
    rows, columns = constant.shape
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            [
                onnx.helper.make_node("Cast", ["w.half"], ["w"], to=onnx.TensorProto.FLOAT),
                onnx.helper.make_node("MatMul", ["x", "w"], ["y"]),
            ],
            "linear",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, rows])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, columns])],
            [onnx.numpy_helper.from_array(constant, "w.half")],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=10,
    )


def run(path, rows):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [found] = session.run(["y"], {"x": np.linspace(0, 1, rows, dtype=np.float32)[None]})
    return found


@pytest.mark.parametrize("is_transposed", [False, True])
def test_the_numbers_are_the_same_and_the_graph_is_small(is_transposed, weight, tmp_path):
    weights = tmp_path / "own.safetensors"
    save_file({"head.weight": weight, "other": np.ones(5000, np.float16)}, weights)
    constant = np.ascontiguousarray(weight.T if is_transposed else weight)
    model = build(constant)
    onnx.save(model, tmp_path / "whole.onnx")
    assert move_weights_out([model.graph], weights) == weights.name
    (tmp_path / "thin.onnx").write_bytes(model.SerializeToString())
    whole, thin = (run(tmp_path / f"{name}.onnx", len(constant)) for name in ("whole", "thin"))
    assert np.array_equal(whole, thin)
    assert (tmp_path / "thin.onnx").stat().st_size < 1000 < constant.nbytes


def test_graphs_share_weights_that_the_checkpoint_lacks(weight, tmp_path):
    weights = tmp_path / "own.safetensors"
    save_file({"head.weight": weight + 1}, weights)
    models = [build(weight), build(weight)]
    onnx.save(models[0], tmp_path / "whole.onnx")
    name = move_weights_out([model.graph for model in models], weights)
    assert name == name_data(weights).name
    for model in models:
        (tmp_path / "thin.onnx").write_bytes(model.SerializeToString())
        whole, thin = (run(tmp_path / f"{kind}.onnx", HEIGHT) for kind in ("whole", "thin"))
        assert np.array_equal(whole, thin)
    content = name_data(weights).read_bytes()
    assert content[:64] == to_sha256(weights).encode()
    assert len(content) < 64 + weight.nbytes + 64  # once


def test_a_lone_graph_of_other_weights_stays_whole(weight, tmp_path):
    weights = tmp_path / "own.safetensors"
    save_file({"head.weight": weight + 1}, weights)
    model = build(weight)
    before = model.SerializeToString()
    assert move_weights_out([model.graph], weights) is None
    assert model.SerializeToString() == before
    assert not name_data(weights).exists()


def test_an_array_of_the_same_bytes_and_another_shape_is_left_alone(weight, tmp_path):
    weights = tmp_path / "own.safetensors"
    save_file({"head.weight": weight}, weights)
    constant = weight.T.reshape(HEIGHT, WIDTH)  # the bytes of the transposed one
    model = build(np.ascontiguousarray(constant))
    onnx.save(model, tmp_path / "whole.onnx")
    move_weights_out([model.graph], weights)
    (tmp_path / "thin.onnx").write_bytes(model.SerializeToString())
    whole, thin = (run(tmp_path / f"{name}.onnx", HEIGHT) for name in ("whole", "thin"))
    assert np.array_equal(whole, thin)
