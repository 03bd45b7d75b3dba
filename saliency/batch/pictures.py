"""The pictures of one photo: overlay, map and crops, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.batch.crops import encode_crop, find_crops, name_crop
from saliency.batch.naming import Photo
from saliency.batch.records import crop_to_fields
from saliency.batch.writing import replacing
from saliency.insights import AspectRatio
from saliency.predictor import Predictor
from saliency.rendering import OVERLAY_SIDE_PX, encode_png, to_overlay, to_saliency_map
from saliency.types import Prediction

OverlayKind = Literal["png", "jpg", "none"]
MapKind = Literal["png16", "png8", "npy", "none"]

JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures are made of each photo.

    Attributes:
        overlay: Attention glowing on the photo.
        overlay_side_px: Longer side of an overlay; a smaller photo keeps its size.
        map: `png16`, `png8`: the peak is 65535 or 255. `npy`: float32, >= 0, sums to 1.
        map_side_px: Longer side of a map; None, or a smaller photo: the photo's size.
        crops: One crop of each of these shapes, with the photo's own pixels.
    """

    overlay: OverlayKind = "png"
    overlay_side_px: int = OVERLAY_SIDE_PX
    map: MapKind = "png16"
    map_side_px: int | None = None
    crops: tuple[AspectRatio, ...] = ()

    @property
    def needs_side_px(self) -> int | None:
        """Longer side of the photo that the pictures are made from; None: the photo's own."""
        if self.crops:
            return None
        return 0 if self.overlay == "none" else self.overlay_side_px


def write_pictures(
    predictor: Predictor,
    photo: Photo,
    image: NDArray[np.uint8],
    prediction: Prediction,
    pictures: Pictures,
    out_dir: Path,
) -> dict[str, object]:
    """Write what was asked for.

    Args:
        predictor: Scores the crops.
        photo: Its name is that of the files.
        image: (H', W', 3) uint8 RGB: the photo, at least as large as `pictures` needs it.
        prediction: Of the photo; without a density there are no pictures.
        pictures: What to write.
        out_dir: Where.

    Returns:
        The fields `overlay`, `map` and `crops` of the record, as far as they were asked for: files
        relative to `out_dir`.

    Raises:
        OSError: They cannot be written.
        InsightError: Crops were asked of a network without a saliency head.
    """
    fields: dict[str, object] = {}
    density = prediction.density_within(pictures.overlay_side_px)
    if density is not None and pictures.overlay != "none":
        fields["overlay"] = file = f"{photo.name}.overlay.{pictures.overlay}"
        overlay = to_overlay(image, density, max_side_px=pictures.overlay_side_px)
        encode = encode_png if pictures.overlay == "png" else _encode_jpeg
        with replacing(out_dir / file) as path:
            path.write_bytes(encode(overlay))
    density = prediction.density_within(pictures.map_side_px)
    if density is not None and pictures.map != "none":
        fields["map"] = file = f"{photo.name}.map.{pictures.map[:3]}"
        with replacing(out_dir / file) as path:
            _write_map(path, density, pictures.map)
    if pictures.crops:
        crops = []
        for best in find_crops(predictor, image, prediction, pictures.crops):
            file = name_crop(photo.name, photo.path, best)
            data = encode_crop(image[best.box.pixels], photo.path, Path(file).suffix)
            with replacing(out_dir / file) as path:
                path.write_bytes(data)
            crops.append(crop_to_fields(best, file))
        fields["crops"] = crops
    return fields


def _write_map(path: Path, density: NDArray[np.float32], kind: MapKind) -> None:
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, density)
    elif kind == "png16":
        path.write_bytes(encode_png(to_saliency_map(density, bits=16)))
    else:
        path.write_bytes(encode_png(to_saliency_map(density)))


def _encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
