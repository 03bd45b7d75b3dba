"""The crops of one photo, ranked and as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD, Base

from saliency.batch.marks import mark
from saliency.images import OwnColours
from saliency.insights import (
    COARSE_SIDE,
    AspectRatio,
    Box,
    RankedCrop,
    propose_crops,
    rank_crops,
    require_density,
)
from saliency.predictor import Predictor
from saliency.threads import split_groups
from saliency.types import Prediction

CANDIDATES = 8
"""Smallest number of candidates of each shape that are scored; the best of them are returned."""

LOSSLESS_SUFFIXES = frozenset({".png", ".apng", ".bmp", ".dib", ".gif", ".tif", ".tiff"})
"""Suffixes of photos whose crops are PNG; crops of all others, mostly lossy, are JPEG."""

JPEG_QUALITY = 95

MAX_EXIF_BYTES = 65_533
"""The longest EXIF block that a JPEG can hold."""


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

    Works in the caller's thread; several threads may call it at the same time.

    Args:
        predictor: Scores the crops.
        image: (H, W, 3) uint8 RGB.
        whole: The prediction for the whole photo.
        shapes: Aspect ratios of the crops.
        count: Largest number of crops of each shape.
        batch_size: Crops that go through the network together; None: `Predictor.batch_size`.

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
            parts = (image[crop.box.pixels] for crop in proposed)
            scores = [
                prediction.score
                for group in split_groups(parts, batch_size or predictor.batch_size)
                for prediction in predictor.predict_prepared([*map(predictor.prepare, group)])
            ]
        yield from rank_crops(proposed, scores, count)


def name_crop(name: str, photo: Path, best: RankedCrop) -> str:
    """Return where a crop goes, relative to the output folder.

    Args:
        name: Name of the photo's results, without suffix.
        photo: The photo; its suffix decides whether the crop is PNG or JPEG.
        best: The crop.
    """
    suffix = ".png" if photo.suffix.lower() in LOSSLESS_SUFFIXES else ".jpg"
    return f"{name}.crop-{str(best.aspect).replace(':', 'x')}-{best.rank}{suffix}"


def encode_crop(own: OwnColours, box: Box, suffix: str) -> bytes:
    """Encode a part of a photo as PNG or JPEG, with its colour profile and EXIF.

    Args:
        own: The photo in the colours of its own profile.
        box: The part, in pixels of the photo.
        suffix: `.png` or `.jpg`.
    """
    pixels = own.pixels[box.pixels]
    data = BytesIO()
    picture = Image.fromarray(pixels)
    exif = b"" if own.exif is None else _encode_exif(own.exif, pixels.shape[:2])
    if suffix == ".png":
        picture.save(data, "PNG", icc_profile=own.profile, exif=exif)
    else:
        picture.save(
            data,
            "JPEG",
            quality=JPEG_QUALITY,
            subsampling="4:4:4",
            icc_profile=own.profile,
            exif=exif,
        )
    return mark(data.getvalue())


def _encode_exif(exif: Image.Exif, size: tuple[int, ...]) -> bytes:
    """Return a photo's EXIF for a part of `size` (height, width); b"" if it cannot be written."""
    try:
        details = exif.get_ifd(IFD.Exif)
        for tag, side in zip((Base.ExifImageHeight, Base.ExifImageWidth), size, strict=True):
            if tag in details:
                details[tag] = side
        data = exif.tobytes()
    except Exception:  # damaged EXIF is left out; the pixels are good
        return b""
    return data if len(data) <= MAX_EXIF_BYTES else b""
