"""The steps from a photo to its prediction, each alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from saliency.backends import NetworkOutput, Precision
from saliency.backends.torch import to_arrays
from saliency.bench.photos import BenchPhoto
from saliency.bench.timing import Figure
from saliency.checkpoint import Checkpoint
from saliency.images import read_image
from saliency.model import SaliencyNetwork
from saliency.predictor import Predictor, to_prediction
from saliency.preprocessing import resize
from saliency.rendering import to_overlay
from saliency.sizes import fit_within

OVERLAY_SIDE_PX = 640
"""Longer side of the overlay that is drawn, as for a page."""


class EagerBackend:
    """PyTorch as it comes: channels first, float32, operation by operation.

    What every backend's forward is compared with.
    """

    name = "eager"
    precision: Precision = "float32"
    is_concurrent = False

    def __init__(self, network: SaliencyNetwork, device: torch.device) -> None:
        """Move `network` to `device`, in place."""
        self._network = network.eval().to(device)
        self._device = device

    @torch.inference_mode()
    def infer(self, inputs: NDArray[np.float32], *, on_all_cores: bool = True) -> NetworkOutput:
        """Compute (B, 3, h, w); the outputs come at the input's size."""
        return to_arrays(self._network(torch.from_numpy(inputs).to(self._device)))


def eager_predictor(checkpoint: Checkpoint, device: torch.device) -> Predictor:
    """Return a predictor that computes as `EagerBackend` does."""
    backend = EagerBackend(checkpoint.network, device)
    return Predictor(checkpoint, str(device), backend=backend)


def photo_figures(predictor: Predictor, photo: BenchPhoto) -> list[Figure]:
    """Return the steps whose cost depends on the photo's size and on no backend.

    `decode` reads the whole photo; `prepare` decodes and preprocesses as predicting does, and
    `preprocess` is what of that comes behind the decoder. `density` is `to_prediction` and the
    density at the photo's own size.
    """
    jpeg, size = photo.jpeg, photo.size
    prepared = predictor.prepare(jpeg)
    output = predictor.infer([prepared])
    small = fit_within(size, OVERLAY_SIDE_PX)
    picture = resize(prepared.image, small)

    def render() -> object:
        density = to_prediction(output, 0, small, predictor.attributes).density
        return None if density is None else to_overlay(picture, density)

    calls = {
        "decode": lambda: read_image(jpeg),
        "prepare": lambda: predictor.prepare(jpeg),
        "preprocess": lambda: predictor.prepare(prepared.image),
        "to_prediction": lambda: to_prediction(output, 0, size, predictor.attributes),
        "density": lambda: to_prediction(output, 0, size, predictor.attributes).density,
        "render": render,
    }
    return [
        Figure(name, call, megapixels=photo.megapixels, one_thread=True)
        for name, call in calls.items()
    ]


def forward_figures(
    predictors: Mapping[str, Predictor], photo: BenchPhoto, batch_sizes: Sequence[int]
) -> list[Figure]:
    """Return the forward of every backend for every batch size."""
    figures = []
    for name, predictor in predictors.items():
        prepared = predictor.prepare(photo.jpeg)
        for batch_size in batch_sizes:
            batch = [prepared] * batch_size
            figures.append(
                Figure(
                    "forward",
                    partial(predictor.infer, batch),
                    photos=batch_size,
                    backend=name,
                    batch_size=batch_size,
                )
            )
    return figures
