"""Short training runs on drawn images."""

from collections.abc import Callable

import pytest

from saliency.training.config import TrainingConfig, load_config

TOML = """
[data]
height = 64
width = 96
sets = [
    { name = "looked", layout = "drawn", count = 16 },
    { name = "rated", layout = "drawn", count = 8, rated = true },
]

[model]
encoder = "test_efficientnet"
pretrained = false
decoder_channels = 16

[train]
epochs = 2
saliency_per_batch = 4
warmup_steps = 2
ema_decay = 0.9
"""


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainingConfig]:
    """Return a function from overrides to the config of a run of 2 epochs, 4 steps each."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TOML)

    def build(*overrides: str) -> TrainingConfig:
        return load_config(path, overrides)

    return build


@pytest.fixture(autouse=True)
def _no_data_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a SALIENCY_DATA of the shell out of these tests."""
    monkeypatch.delenv("SALIENCY_DATA", raising=False)
