"""Real photos, and an exported network with random weights for tests that need no trained ones."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data as photographs

from saliency.backends.export import export_graphs


@pytest.fixture(scope="session")
def exported(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with its exported network beside it."""
    weights = tmp_path_factory.mktemp("exported") / tiny_weights.name
    shutil.copy(tiny_weights, weights)
    export_graphs(weights)
    return weights


@pytest.fixture(scope="session")
def photos() -> list[NDArray[np.uint8]]:
    """Photos of both orientations."""
    portrait = photographs.astronaut()[:, 100:420]
    landscape = [photographs.chelsea(), photographs.coffee(), photographs.rocket()]
    return [*landscape, portrait, photographs.astronaut()]
