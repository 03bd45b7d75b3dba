"""The weights, in a process that is set up to serve them."""

from __future__ import annotations

import warnings

import cv2

from saliency.allocator import keep_freed_memory
from saliency.predictor import Predictor
from service.settings import Settings


def load_predictor(settings: Settings) -> Predictor:
    """Load the weights, and set the whole process up for photos in several threads.

    Raises:
        SaliencyError: They cannot be loaded as `settings` say.
    """
    # Damaged EXIF says nothing against a photo's pixels, and many photos have some.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    # Activations are smaller than this, whole photos larger, and so are the 16 MiB blocks that
    # Pillow decodes into: kept, they would add up to gigabytes.
    keep_freed_memory(up_to_bytes=15 * 2**20)
    # Each photo has a thread; OpenCV's own, which spin while they wait, would take its core away.
    cv2.setNumThreads(1)
    return Predictor.load(
        settings.weights,
        settings.device,
        settings.precision,
        settings.backend,
        threads=settings.threads if settings.batch_size <= 1 else None,
    )
