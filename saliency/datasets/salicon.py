"""SALICON in its original layout of 2017."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.datasets.base import (
    keep_inside,
    list_images,
    report_skipped,
    require_folder,
)
from saliency.datasets.matlab import load_mat
from saliency.densities import normalize_density
from saliency.errors import DatasetError, ImageDecodeError, LabelError
from saliency.images import read_image
from saliency.types import Fixations, Sample


class SaliconDataset:
    """Images with the set's own density maps, and fixations where they exist.

    Layout::

        images/{part}/*.jpg
        maps/{part}/*.png            grey, any scale: the density
        fixations/{part}/*.mat       optional: each viewer's fixations
        fixations_png/{part}/*.png   or instead: non-zero at fixated pixels

    A fixated pixel becomes the point at its centre, so (row 0, column 0) is x = y = 0.5 and
    `floor` gives the pixel back. MATLAB counts pixels from 1: there that point is written [1, 1].

    Attributes:
        name: Name of the set in its samples.
        ids: File names.
        parts: The sub-folder of each image.

    Note:
        Labels of 2015 and 2017 are not comparable; the folders do not tell which they are.
    """

    def __init__(
        self, root: Path, parts: Sequence[str] | None = None, name: str = "salicon"
    ) -> None:
        """List the images; nothing is decoded yet.

        Args:
            root: Folder that holds `images` and `maps`.
            parts: Sub-folders to use, one after the other; None takes train and, if it
                exists, val.
            name: Name of the set in its samples.

        Raises:
            DatasetError: If a folder is missing, or no image has a map.
        """
        self.name = name
        self._root = Path(root)
        if parts is None:
            has_val = (self._root / "images/val").is_dir()
            parts = ("train", "val") if has_val else ("train",)
        found: list[tuple[str, str]] = []
        unlabelled: list[str] = []
        for part in parts:
            images = list_images(require_folder(self._root, f"images/{part}", "SALICON"))
            maps = require_folder(self._root, f"maps/{part}", "SALICON")
            mapped = {Path(map_name).stem for map_name in list_images(maps)}
            for image in images:
                if Path(image).stem in mapped:
                    found.append((part, image))
                else:
                    unlabelled.append(image)
        report_skipped(name, unlabelled, "without a density map")
        if not found:
            raise DatasetError(
                f"Expected maps with the names of the images of {self._root}. Found none."
            )
        self.parts = tuple(part for part, _ in found)
        self.ids = tuple(image for _, image in found)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        """Read one image with its labels.

        Raises:
            ImageError: If the image, its map or its fixation map cannot be decoded.
            LabelError: If the map is empty or of another size, or the `.mat` file is damaged.
        """
        part, image_id = self.parts[index], self.ids[index]
        image = read_image(self._root / "images" / part / image_id)
        size = image.shape[:2]
        density = read_map(self._root / "maps" / part / f"{Path(image_id).stem}.png", size)
        return Sample(
            image,
            self.name,
            image_id,
            fixations=read_fixations(self._root, part, Path(image_id).stem, size),
            density=normalize_density(density),
        )


def read_fixations(root: Path, part: str, stem: str, size: tuple[int, int]) -> Fixations | None:
    """Read the fixations of one image from a `.mat` file or a PNG; None without either.

    Args:
        root: Folder of the set.
        part: Name of the sub-folder.
        stem: Name of the image without its suffix.
        size: (height, width) of the image; points outside it are dropped.

    Raises:
        ImageDecodeError: If a fixation map is damaged.
        LabelError: If a file is damaged, of another size or kind.
    """
    points = root / "fixations" / part / f"{stem}.mat"
    if points.is_file():
        try:
            return read_mat_fixations(points, size)
        except DatasetError as error:
            raise LabelError(str(error)) from error
    pixels = root / "fixations_png" / part / f"{stem}.png"
    if pixels.is_file():
        rows, columns = np.nonzero(read_grey(pixels, size) > 0)
        return keep_inside(columns + 0.5, rows + 0.5, size)
    return None


def read_mat_fixations(path: Path, size: tuple[int, int]) -> Fixations:
    """Read the fixations of all viewers from one of SALICON's `.mat` files.

    Args:
        path: File with a struct array `gaze`, one element for each viewer, whose field `fixations`
            is (K, 2) points [x, y] counted from 1, of any number type, or empty; usually also with
            `resolution`, the (height, width) that the points refer to.
        size: (height, width) of the image; points outside it are dropped.

    Raises:
        DatasetError: If the file is of another kind, or of an image of another size.
    """
    contents = load_mat(path)
    gaze = contents.get("gaze")
    if gaze is None or "fixations" not in (gaze.dtype.names or ()):
        raise DatasetError(
            f"{path} should hold a struct array `gaze` with a field `fixations`. "
            f"Found {list(contents)}."
        )
    # On resized images the points would be at wrong places. Height and width may be swapped: only
    # another size is an error.
    resolution = np.asarray(contents.get("resolution", size))
    is_number = resolution.dtype.kind in "iuf"
    if not is_number or sorted(resolution.ravel().tolist()) != sorted(size):
        raise DatasetError(
            f"`resolution` in {path} should be its image's size {size}. "
            f"Found {resolution.ravel().tolist()}."
        )
    # Copies in circulation differ in (1, N) or (N, 1), and an empty list has any shape.
    try:
        viewers = [np.asarray(points) for points in gaze["fixations"].ravel()]
        viewers = [points for points in viewers if points.size]
        odd = [p for p in viewers if p.ndim != 2 or p.shape[1] != 2 or p.dtype.kind not in "iuf"]
        if odd:
            raise ValueError(f"{odd[0].shape} {odd[0].dtype}")  # noqa: TRY301
        points = np.concatenate([np.empty((0, 2)), *viewers]).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"`fixations` in {path} should be (K, 2) points for each viewer. Found: {error}"
        ) from error
    return keep_inside(points[:, 0] - 0.5, points[:, 1] - 0.5, size)


def read_map(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """Read a density map.

    Args:
        path: A picture of one channel, 8 or 16 bits.
        size: (height, width) of the image that it belongs to.

    Returns:
        (H, W) float32, on the scale of the file, with a sum above 0.

    Raises:
        ImageDecodeError: If it cannot be decoded.
        LabelError: If it is empty or of another size.
    """
    values = read_grey(path, size)
    if not np.isfinite(values).all() or values.min() < 0:
        raise LabelError(f"{path} should have numbers >= 0. Found others.")
    if not values.sum(dtype=np.float64) > 0:
        raise LabelError(f"{path} should show where people looked. Found only zeros.")
    return values


def read_grey(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """Read a map or a fixation map.

    Args:
        path: A picture of one channel, 8 or 16 bits.
        size: (height, width) of the image that it belongs to.

    Returns:
        (H, W) float32, on the scale of the file.

    Raises:
        ImageDecodeError: If it cannot be decoded.
        LabelError: If it is of another size.
    """
    try:
        with Image.open(path) as image:
            # 16-bit maps keep their depth; colour or palette copies of grey maps lose nothing.
            grey = image if image.mode.startswith(("I", "F")) else image.convert("L")
            values = np.asarray(grey, dtype=np.float32)
    except Exception as error:  # on damaged bytes Pillow raises nearly every class there is
        raise ImageDecodeError(f"{path} cannot be decoded: {error}") from error
    if values.shape != size:
        raise LabelError(f"{path} should have its image's size {size}. Found {values.shape}.")
    return values
