"""The crops of one photo, ranked and as files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.insights import (
    COARSE_SIDE,
    AspectRatio,
    RankedCrop,
    propose_crops,
    rank_crops,
    require_density,
)
from saliency.predictor import Predictor
from saliency.types import Prediction

CANDIDATES = 8
"""Crops of each shape that are scored, at least; those asked for come from among them."""

LOSSLESS_SUFFIXES = frozenset({".png", ".bmp", ".gif", ".tif", ".tiff"})
"""Photos whose crops are PNG; the others have lost detail to JPEG's kind before."""

JPEG_QUALITY = 95


def find_crops(
    predictor: Predictor,
    image: NDArray[np.uint8],
    whole: Prediction,
    shapes: Sequence[AspectRatio],
    *,
    count: int = 1,
    batch_size: int | None = None,
) -> Iterator[RankedCrop]:
    """Yield up to `count` crops of each shape, the best first, scored as photos of their own.

    Args:
        predictor: Scores the crops.
        image: (H, W, 3) uint8 RGB.
        whole: What the network says of the whole photo.
        shapes: The shapes.
        count: The most crops of each shape.
        batch_size: As for `Predictor.predict_many`.

    Raises:
        InsightError: The network has no saliency head.
    """
    density = require_density(whole.density_within(COARSE_SIDE))
    for shape in shapes:
        proposed = propose_crops(
            density, shape, max(CANDIDATES, count), image_size=whole.image_size
        )
        scores: list[float | None] = [None] * len(proposed)
        if whole.score is not None:
            cuts = (image[crop.box.pixels] for crop in proposed)
            scores = [cut.score for cut in predictor.predict_many(cuts, batch_size)]
        yield from rank_crops(proposed, scores, count)


def name_crop(name: str, photo: Path, best: RankedCrop) -> str:
    """Return where a crop goes, relative to the output folder.

    Args:
        name: Of the photo's results, without suffix.
        photo: The photo, whose kind decides that of the crop.
        best: The crop.
    """
    suffix = ".png" if photo.suffix.lower() in LOSSLESS_SUFFIXES else ".jpg"
    return f"{name}.crop-{str(best.aspect).replace(':', 'x')}-{best.rank}{suffix}"


def encode_crop(pixels: NDArray[np.uint8], photo: Path, suffix: str) -> bytes:
    """Encode (H, W, 3) uint8 RGB as `suffix` says, in the colour space of its photo."""
    profile = read_profile(photo)
    data = BytesIO()
    picture = Image.fromarray(pixels)
    if suffix == ".png":
        picture.save(data, "PNG", icc_profile=profile)
    else:
        picture.save(data, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", icc_profile=profile)
    return data.getvalue()


def read_profile(photo: Path) -> bytes | None:
    """Return the ICC profile of an RGB photo, if Pillow can tell: without it colours turn pale.

    `read_image` does not apply profiles, so the pixels are still what the profile describes.
    """
    with warnings.catch_warnings(), suppress(Exception):  # the pixels were read; this is extra
        warnings.simplefilter("ignore")
        with Image.open(photo) as header:
            profile = header.info.get("icc_profile")
            if header.mode in ("RGB", "RGBA", "P") and isinstance(profile, bytes):
                return profile
    return None
