"""Loads the weights, and sets up the process that serves them."""

from __future__ import annotations

import warnings

import cv2

from saliency.allocator import keep_freed_memory
from saliency.predictor import Predictor
from service.settings import Settings


def load_predictor(settings: Settings) -> Predictor:
    """Load the weights, and set the whole process up for photos in several threads.

    Raises:
        SaliencyError: The weights cannot be loaded with these settings.
    """
    # Many photos have damaged EXIF; their pixels are good, so a warning would only disturb.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    # Activations are smaller than this limit; whole photos and the 16 MiB blocks that Pillow
    # decodes into are larger. If the allocator kept those, they would add up to gigabytes.
    keep_freed_memory(up_to_bytes=15 * 2**20)
    # Each photo has a thread; OpenCV's own threads, which spin while waiting, would take its core.
    cv2.setNumThreads(1)
    return Predictor.load(
        settings.weights,
        settings.device,
        settings.precision,
        settings.backend,
        threads=settings.threads if settings.batch_size <= 1 else None,
    )
