"""A device is there, or the error says what would work."""

import pytest
import torch

from saliency.devices import resolve_device
from saliency.errors import DeviceError

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_cpu_is_always_there():
    assert resolve_device("cpu") == torch.device("cpu")


@without_gpu
def test_auto_falls_back_to_the_cpu():
    assert resolve_device() == torch.device("cpu")


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
