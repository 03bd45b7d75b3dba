import os

# Several workers with several threads each would fight. Set before NumPy and PyTorch read it, and
# for the processes that tests start, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# PyTorch is imported where it is used: the process that hands tests to the others needs none.
if TYPE_CHECKING:
    from playwright.sync_api import Browser


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
    import torch

    from saliency import Card, Checkpoint, save_checkpoint
    from saliency.model import Architecture, SaliencyNetwork
    from saliency.preprocessing import Preprocessing

    torch.manual_seed(0)
    network = SaliencyNetwork(Architecture("test_efficientnet", decoder_channels=16))
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, Checkpoint(network, preprocessing, Card(data=("nothing",))))
    return path


RECIPE = """
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
def tiny_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of a run on drawn images, of 2 epochs with 4 steps each. Read only."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def everything_below() -> Callable[[Path], dict[str, bytes]]:
    """Return a function: output folder -> the bytes of every file in it, but for the journal."""
    from saliency.batch.journal import JOURNAL_NAME

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in files
            if path.name != JOURNAL_NAME
        }

    return read


@pytest.fixture(scope="module")
def in_float64() -> Iterator[None]:
    """Make new tensors float64, so that equal in exact numbers means equal to many digits.

    How float32 rounds is a property of the processor, and training magnifies it.
    """
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


BROWSER_PATIENCE_MS = 60_000  # one busy core predicts in seconds

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
        from playwright.sync_api import expect, sync_playwright
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
        expect.set_options(timeout=BROWSER_PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
