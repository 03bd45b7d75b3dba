"""Short training runs on drawn images."""

from collections.abc import Callable
from pathlib import Path

import pytest

from saliency.training.config import TrainingConfig, load_config
from saliency.training.report import Reporter


@pytest.fixture(scope="session")
def tiny_config(tiny_toml: Path) -> Callable[..., TrainingConfig]:
    """Return a function from overrides to the config of that run."""

    def build(*overrides: str) -> TrainingConfig:
        return load_config(tiny_toml, overrides)

    return build


@pytest.fixture(autouse=True)
def _no_data_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a SALIENCY_DATA of the shell out of these tests."""
    monkeypatch.delenv("SALIENCY_DATA", raising=False)


class PowerCut(Reporter):
    """The end of everything after step number `at`, without a word before."""

    def __init__(self, run_dir: Path, at: int) -> None:
        super().__init__(run_dir)
        self.at = at

    def step(self, step: int, values: dict[str, float]) -> None:
        super().step(step, values)
        if step == self.at:
            raise OSError("no power")


@pytest.fixture(scope="session")
def power_cut() -> type[PowerCut]:
    """The end of a run after a step: `power_cut(run_dir, step)` is its reporter."""
    return PowerCut
