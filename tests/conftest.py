import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from saliency import Card, Checkpoint, save_checkpoint
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


# Chromium's own housekeeping would ask hosts on the Internet.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium; where there is none, how to get it."""
    missing = []
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing.append("pip install playwright")
    names = (shutil.which(name) for name in ("chromium", "google-chrome"))
    chromium = os.environ.get("CHROMIUM") or next(filter(None, names), None)
    if chromium is None:
        missing.append("apt-get install chromium (or set CHROMIUM=/path/to/it)")
    if missing:
        reason = f"Pages are tested in a browser, which is not here: {', '.join(missing)}."
        if os.environ.get("SALIENCY_REQUIRE_BROWSER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    # Not for the whole session: while it runs, no other test could start an event loop.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
