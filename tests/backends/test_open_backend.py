"""The fastest backend that suits checkpoint, device and precision; other requests are refused."""

from importlib.util import find_spec

import pytest

from saliency import BackendError, CheckpointError, Predictor
from saliency.backends import open_backend
from saliency.devices import Device

CPU = Device("cpu")


@pytest.fixture
def without(monkeypatch):
    """Return a function that makes a package look as if it were not installed."""
    installed = find_spec

    def hide(package):
        monkeypatch.setattr(
            "saliency.backends.find_spec", lambda name: None if name == package else installed(name)
        )

    return hide


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", "onnx"), ("float32", "onnx"), ("bfloat16", "openvino"), ("float16", "torch")],
)
def test_auto_is_the_fastest_that_computes_in_the_precision(precision, expected, exported):
    backend = open_backend("auto", exported, CPU, precision)
    assert backend.name == expected


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize("name", ["torch", "onnx", "openvino"])
def test_auto_precision_is_float32_on_a_cpu(name, precision, exported):
    assert open_backend(name, exported, CPU, precision).precision == "float32"


def test_without_an_exported_network_auto_is_pytorch(tiny_weights):
    assert open_backend("auto", tiny_weights, CPU).name == "torch"


def test_without_onnx_runtime_auto_is_pytorch(exported, without):
    without("onnxruntime")
    assert open_backend("auto", exported, CPU).name == "torch"


def test_what_is_not_installed_is_named_with_the_way_to_get_it(exported, without):
    without("openvino")
    with pytest.raises(BackendError, match="pip install openvino"):
        open_backend("openvino", exported, CPU)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_without_an_exported_network_the_error_says_how_to_make_it(name, tiny_weights):
    with pytest.raises(BackendError, match=f"saliency export {tiny_weights}"):
        open_backend(name, tiny_weights, CPU)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_gpu_is_pytorchs_alone(name, exported):
    with pytest.raises(BackendError, match="should be torch to compute on cuda"):
        open_backend(name, exported, Device("cuda"))


@pytest.mark.parametrize(
    ("name", "precision"), [("onnx", "bfloat16"), ("onnx", "float16"), ("openvino", "float16")]
)
def test_a_precision_that_a_backend_lacks_is_an_error(name, precision, exported):
    with pytest.raises(BackendError, match=f"for the backend {name}. Found {precision}"):
        open_backend(name, exported, CPU, precision)


def test_an_unknown_name_is_refused_with_those_that_work(exported):
    with pytest.raises(BackendError, match=r"auto, torch, onnx, openvino\. Found 'tensorrt'"):
        open_backend("tensorrt", exported, CPU)


@pytest.mark.parametrize("name", ["auto", "torch", "onnx"])
def test_missing_weights_are_an_error(name, tmp_path):
    with pytest.raises(CheckpointError, match=r"Found no .*absent\.safetensors"):
        open_backend(name, tmp_path / "absent.safetensors", CPU)


def test_a_predictor_says_what_it_computes_with(exported):
    assert Predictor.load(exported, "cpu").describe() == "device: cpu, backend: onnx"
