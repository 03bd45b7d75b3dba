"""The interface of labelled data sets, and messages about folders of another layout."""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from saliency.errors import DatasetError
from saliency.images import IMAGE_SUFFIXES
from saliency.types import Fixations, Sample

_NAMED = 5  # names listed in a message

logger = logging.getLogger(__name__)


class LabelledDataset(Protocol):
    """Images with labels: `dataset[i]` reads the image called `dataset.ids[i]`."""

    @property
    def name(self) -> str:
        """Name of the set, carried by every sample."""

    @property
    def ids(self) -> tuple[str, ...]:
        """File names, unique within the set, in the order of the indices."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True, slots=True)
class Subset:
    """Some images of a data set, itself a data set; made by `select`."""

    dataset: LabelledDataset
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the whole set."""
        return self.dataset.name

    @property
    def ids(self) -> tuple[str, ...]:
        """File names of the chosen images."""
        return tuple(self.dataset.ids[index] for index in self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self.indices[index]]


def select(dataset: LabelledDataset, ids: Iterable[str]) -> Subset:
    """Return the images with these file names, in the order of `ids`.

    Raises:
        DatasetError: If one of them is not in the set.
    """
    wanted = tuple(ids)
    index_of = {image_id: index for index, image_id in enumerate(dataset.ids)}
    absent = [image_id for image_id in wanted if image_id not in index_of]
    if absent:
        raise DatasetError(
            f"`ids` should be images of {dataset.name}. Found {name_some(absent)}, "
            f"not among its {len(dataset)}, such as {name_some(dataset.ids)}."
        )
    return Subset(dataset, tuple(index_of[image_id] for image_id in wanted))


def require_folder(root: Path, inside: str, layout: str) -> Path:
    """Return `root/inside`.

    Raises:
        DatasetError: If there is no such folder; the message lists what is in `root`.
    """
    folder = root / inside
    if not folder.is_dir():
        raise DatasetError(
            f"The {layout} layout has a folder `{inside}`. Expected {folder}. {_describe(root)}"
        )
    return folder


def require_file(root: Path, inside: str, layout: str) -> Path:
    """Return `root/inside`.

    Raises:
        DatasetError: If there is no such file; the message lists what is in `root`.
    """
    file = root / inside
    if not file.is_file():
        raise DatasetError(
            f"The {layout} layout has a file `{inside}`. Expected {file}. {_describe(root)}"
        )
    return file


def list_images(folder: Path) -> tuple[str, ...]:
    """Return the names of the image files in `folder`, sorted; hidden files are skipped.

    Raises:
        DatasetError: If there are none.
    """
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
        )
    if not names:
        raise DatasetError(f"Expected images (.jpg, .png, ...) in {folder}. {_describe(folder)}")
    return tuple(names)


def report_skipped(dataset: str, names: Sequence[str], reason: str) -> None:
    """Log one warning for all the images that are left out for one reason, if any."""
    if names:
        logger.warning(
            "%s: skipped %d images %s: %s", dataset, len(names), reason, name_some(names)
        )


def keep_inside(xs: ArrayLike, ys: ArrayLike, size: tuple[int, int]) -> Fixations:
    """Drop the points outside a frame of `size` (height, width), and those that are NaN."""
    columns, rows = np.asarray(xs, dtype=np.float32), np.asarray(ys, dtype=np.float32)
    height, width = size
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return Fixations(columns[inside], rows[inside])


def name_some(names: Sequence[str]) -> str:
    """Join the first few names for a message."""
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _describe(folder: Path) -> str:
    if not folder.is_dir():
        return f"Found no folder {folder}."
    with os.scandir(folder) as entries:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in entries)
    return f"Found in {folder}: {name_some(names) or 'nothing'}."
