import os
from pathlib import Path

import pytest
import torch

# Two threads on two cores fight with the test runner's own; one is steadier.
torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", type=Path, default=None, help="folder of the labelled sets")


@pytest.fixture(scope="session")
def data_root(request: pytest.FixtureRequest) -> Path:
    """The folder of the labelled sets; tests that need it are skipped where it is absent."""
    given = request.config.getoption("--data")
    beside = Path(__file__).parents[1].parent / "shared" / "data"
    root = Path(given or os.environ.get("SALIENCY_DATA") or beside)
    if not root.is_dir():
        pytest.skip(f"no labelled sets at {root}; name their folder with --data or SALIENCY_DATA")
    return root
