"""A missing package is named with the command that installs it; other errors are not changed."""

import pytest

from saliency.errors import ConfigError, DeviceError
from saliency.extras import require_extra


def fail(name):
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_the_sentence_names_package_and_command():
    with pytest.raises(ConfigError) as caught, require_extra("Parquet", "parquet"):
        fail("pyarrow.parquet")
    assert str(caught.value) == (
        "Parquet needs pyarrow, which is not installed; "
        "to get it: pip install 'aesthetic-saliency[parquet]'"
    )


def test_the_kind_of_error_is_the_callers():
    with pytest.raises(DeviceError, match="needs PyTorch"), require_extra("It", "x", DeviceError):
        fail("torch.backends")


def test_a_module_of_this_package_that_is_missing_is_no_missing_extra():
    with pytest.raises(ModuleNotFoundError), require_extra("It", "x"):
        fail("saliency.absent")
