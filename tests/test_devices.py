"""A device is there, or the error says what would work."""

import subprocess
import sys

import pytest
import torch

from saliency.devices import Device, _may_have_gpu, find_device, resolve_device
from saliency.errors import DeviceError

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_cpu_is_always_there():
    assert resolve_device("cpu") == torch.device("cpu")


@without_gpu
def test_auto_falls_back_to_the_cpu():
    assert resolve_device() == torch.device("cpu")


@pytest.mark.skipif(_may_have_gpu(), reason="this machine has a GPU's driver")
def test_without_a_driver_auto_is_found_without_pytorch():
    code = (
        "import sys; from saliency.devices import find_device; "
        "print(find_device('auto'), find_device('cpu'), 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["cpu", "cpu", "False"]


def test_without_pytorch_auto_is_the_cpu_whatever_driver_there_is(monkeypatch):
    monkeypatch.setattr("saliency.devices._may_have_gpu", lambda: True)
    monkeypatch.setattr("saliency.devices.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert find_device("auto") == Device("cpu")


@pytest.mark.parametrize("name", ["cpu", "cuda:1", "mps"])
def test_a_device_is_written_as_it_is_asked_for(name):
    kind, _, index = name.partition(":")
    assert str(Device(kind, int(index) if index else None)) == name


def test_pytorchs_device_is_the_one_that_is_found():
    assert str(resolve_device()) == str(find_device())


@without_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_an_absent_gpu_is_an_error_not_the_cpu(name):
    with pytest.raises(DeviceError, match="Found 0 CUDA devices; use --device cpu"):
        resolve_device(name)


def test_one_gpu_too_far_is_an_error():
    with pytest.raises(DeviceError, match="should be present"):
        resolve_device(f"cuda:{torch.cuda.device_count()}")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_an_absent_apple_gpu_is_an_error():
    with pytest.raises(DeviceError, match="no Apple GPU"):
        resolve_device("mps")


@pytest.mark.parametrize("name", ["", "gpu", "0", "CPU", "cuda:x", "meta", "xpu"])
def test_other_names_are_refused_with_those_that_work(name):
    """Some of them torch knows, but gives no numbers there."""
    with pytest.raises(DeviceError, match=f"cpu, cuda, cuda:N or mps. Found '{name}'"):
        resolve_device(name)
