"""The pictures of one photo: overlay, map and crops, as files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.batch.crops import encode_crop, find_crops, name_crop
from saliency.batch.marks import mark
from saliency.batch.naming import Photo
from saliency.files import replacing
from saliency.images import OwnColours
from saliency.insights import AspectRatio
from saliency.predictor import Predictor
from saliency.records import CropRecord, Record
from saliency.rendering import OVERLAY_SIDE_PX, encode_png, to_overlay, to_saliency_map
from saliency.types import Prediction

OverlayKind = Literal["png", "jpg", "none"]
MapKind = Literal["png16", "png8", "npy", "none"]

JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures are made of each photo.

    Attributes:
        overlay: Format of the overlay, which shows attention as a glow on the photo.
        overlay_side_px: Longer side of an overlay; a smaller photo keeps its size.
        map: `png16`, `png8`: the peak is 65535 or 255. `npy`: float32, >= 0, sums to 1.
        map_side_px: Longer side of a map; a smaller photo keeps its size, and so do all with None.
        crops: Aspect ratios; the best crop of each is cut from the photo at full resolution.
        legend: Whether an overlay has a line below it that says what its colours mean.
    """

    overlay: OverlayKind = "png"
    overlay_side_px: int = OVERLAY_SIDE_PX
    map: MapKind = "png16"
    map_side_px: int | None = None
    crops: tuple[AspectRatio, ...] = ()
    legend: bool = False

    @property
    def needs_side_px(self) -> int:
        """Longer side, in pixels, of the smallest copy of the photo that the overlay needs."""
        return 0 if self.overlay == "none" else self.overlay_side_px


def write_pictures(
    predictor: Predictor,
    photo: Photo,
    image: NDArray[np.uint8],
    own: OwnColours | None,
    prediction: Prediction,
    record: Record,
    pictures: Pictures,
    out_dir: Path,
) -> Record:
    """Write the pictures of a photo.

    Args:
        predictor: Scores the crops.
        photo: The photo, whose `name` the files get.
        image: (H', W', 3) uint8 RGB: the photo, at least as large as `pictures` needs it; the whole
            photo for crops.
        own: The photo in its own colours, for crops; None without crops.
        prediction: The photo's prediction; without a density there are no pictures.
        record: The photo's record.
        pictures: Which pictures to write.
        out_dir: Folder of the results.

    Returns:
        The record with the files' names, relative to `out_dir`.

    Raises:
        OSError: The pictures cannot be written.
        InsightError: Crops need a saliency head, and the network has none.
    """
    overlay = saliency_map = None
    density = prediction.density_within(pictures.overlay_side_px)
    if density is not None and pictures.overlay != "none":
        overlay = f"{photo.name}.overlay.{pictures.overlay}"
        picture = to_overlay(
            image, density, max_side_px=pictures.overlay_side_px, legend=pictures.legend
        )
        encode = encode_png if pictures.overlay == "png" else _encode_jpeg
        with replacing(out_dir / overlay) as path:
            path.write_bytes(mark(encode(picture)))
    density = prediction.density_within(pictures.map_side_px)
    if density is not None and pictures.map != "none":
        saliency_map = f"{photo.name}.map.{pictures.map[:3]}"
        with replacing(out_dir / saliency_map) as path:
            _write_map(path, density, pictures.map)
    crops = []
    if own is not None:
        for best in find_crops(predictor, image, prediction, pictures.crops):
            file = name_crop(photo.name, photo.path, best)
            data = encode_crop(own, best.box, Path(file).suffix)
            with replacing(out_dir / file) as path:
                path.write_bytes(data)
            crops.append(CropRecord.of(best, file))
    return replace(record, overlay=overlay, map=saliency_map, crops=tuple(crops))


def _write_map(path: Path, density: NDArray[np.float32], kind: MapKind) -> None:
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, density)
    elif kind == "png16":
        path.write_bytes(mark(encode_png(to_saliency_map(density, bits=16))))
    else:
        path.write_bytes(mark(encode_png(to_saliency_map(density))))


def _encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
