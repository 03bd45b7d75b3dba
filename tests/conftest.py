import os
from pathlib import Path

import pytest
import torch

from saliency import Card, Checkpoint, save_checkpoint
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing

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


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a tiny untrained network with both heads, for 64x96 pixels."""
    torch.manual_seed(0)
    network = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16))
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, Checkpoint(network, preprocessing, Card(data=("nothing",))))
    return path
