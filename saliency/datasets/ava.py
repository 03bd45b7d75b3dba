"""AVA in its original layout: `AVA.txt`, one folder of JPEGs, the official lists."""

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.datasets.base import report_skipped, require_file, require_folder
from saliency.datasets.score_bins import Rating
from saliency.errors import DatasetError
from saliency.images import read_image
from saliency.types import SCORE_BINS, Sample

COLUMNS = 15
"""Columns of `AVA.txt`: index, image id, ten counts of votes, two semantic tags, challenge id."""


class AvaDataset:
    """Images with the votes of a photographers' contest.

    Layout::


    AVA.txt                           one row for each image, 255,530 in the whole set
    images/<id>.jpg
    aesthetics_image_lists/*.jpgl     official splits: one image id in each line
    """

    def __init__(self, root: Path, image_list: Path | None = None, name: str = "ava") -> None:
        """Read the votes of the images that exist; images are read on access.

        Args:
            root: Folder that holds `AVA.txt` and `images`.
            image_list: One of the official lists: only its images are used.
            name: Name of the set in its samples.

        Raises:
            DatasetError: If a file is missing or of another kind, or no image has votes.
        """
        self.name = name
        root = Path(root)
        image_ids, votes = read_votes(require_file(root, "AVA.txt", "AVA"))
        self._images = require_folder(root, "images", "AVA")
        if image_list is not None:
            listed = read_image_list(Path(image_list))
            report_skipped(name, _names(np.setdiff1d(listed, image_ids)), "without votes")
            chosen = np.isin(image_ids, listed)
            image_ids, votes = image_ids[chosen], votes[chosen]
        there = np.isin(image_ids, _scan_ids(self._images))
        report_skipped(name, _names(image_ids[~there]), f"missing in {self._images}")
        if not there.any():
            raise DatasetError(
                f"Expected JPEGs of the {len(image_ids)} rated images, named <image id>.jpg, in "
                f"{self._images}. Found none."
            )
        self.ids = tuple(_names(image_ids[there]))
        self._votes = votes[there]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        """Read one image with its votes.

        Raises:
            ImageError: If the image is damaged; every copy in circulation has a few.
        """
        return Sample(
            read_image(self._images / self.ids[index]),
            self.name,
            self.ids[index],
            score_distribution=self.rating(index).to_distribution(),
        )

    def rating(self, index: int) -> Rating:
        """Return the votes of one image, without reading it."""
        return Rating(1, SCORE_BINS, tuple(self._votes[index].tolist()))


def read_votes(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Read `AVA.txt`.

    Returns:
        (N,) image ids and (N, K) counts of the votes 1..10, in the order of the file.

    Raises:
        DatasetError: If a row does not have 15 whole numbers, or has no vote.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="loadtxt: input contained no data")
            rows = np.loadtxt(path, dtype=np.int32, ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} should have {COLUMNS} whole numbers in each row. Found: {error}"
        ) from error
    if rows.size == 0 or rows.shape[1] != COLUMNS:
        raise DatasetError(
            f"{path} should have {COLUMNS} whole numbers in each row. "
            f"Found {rows.shape[1] if rows.size else 'no row at all'}."
        )
    image_ids, votes = rows[:, 1].copy(), rows[:, 2 : 2 + SCORE_BINS].copy()
    invalid = (votes < 0).any(axis=1) | (votes.sum(axis=1) == 0)
    if invalid.any():
        row = int(np.argmax(invalid))
        raise DatasetError(
            f"{path} should have at least one vote for each image. "
            f"Found {votes[row].tolist()} for image {image_ids[row]}."
        )
    return image_ids, votes


def read_image_list(path: Path) -> NDArray[np.int32]:
    """Read one of the official lists.

    Returns:
        (M,) image ids, in the order of the file.

    Raises:
        DatasetError: If there is no such file, or a line is no image id.
    """
    if not path.is_file():
        raise DatasetError(f"`image_list` should be a file. Found no {path}.")
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    if not lines or not all(line.isdecimal() for line in lines):
        odd = next((line for line in lines if not line.isdecimal()), "nothing")
        raise DatasetError(f"{path} should have one image id in each line. Found {odd!r}.")
    return np.array(lines, dtype=np.int64).astype(np.int32)


def _scan_ids(folder: Path) -> NDArray[np.int32]:
    # One scan of the folder instead of a quarter of a million look-ups.
    with os.scandir(folder) as entries:
        stems = [entry.name[:-4] for entry in entries if entry.name.endswith(".jpg")]
    numbers = [int(stem) for stem in stems if stem.isdecimal() and len(stem) < 10]
    return np.array(numbers, dtype=np.int32)


def _names(image_ids: NDArray[np.int32]) -> list[str]:
    return [f"{image_id}.jpg" for image_id in image_ids.tolist()]
