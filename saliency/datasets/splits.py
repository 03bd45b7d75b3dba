"""Splits into training, validation and test images, read from a CSV file."""

import csv
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from saliency.datasets.base import name_some
from saliency.errors import DatasetError

logger = logging.getLogger(__name__)


class SplitRow(NamedTuple):
    """The part that one image belongs to.

    Attributes:
        image: File name.
        part: Name of the part, such as train, val or test.
        fold: Number of the fold for cross-validation; None in a split without folds.
    """

    image: str
    part: str
    fold: int | None


@dataclass(frozen=True, slots=True)
class Split:
    """A split of one data set, with the file it comes from, for messages."""

    path: Path
    rows: tuple[SplitRow, ...]


def read_split(path: Path) -> Split:
    """Read a CSV with columns image, part and, if the set is cross-validated, fold.

    Raises:
        DatasetError: If the file is missing or of another kind, or names an image twice.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"Expected a split (columns image, part) at {path}. Found no such file.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        if not {"image", "part"} <= set(columns):
            raise DatasetError(f"{path} should have columns image, part. Found {columns}.")
        rows: list[SplitRow] = []
        for line in reader:
            try:
                fold = int(line["fold"]) if "fold" in columns else None
            except (TypeError, ValueError) as error:
                raise DatasetError(
                    f"{path}, line {reader.line_num}: `fold` should be a whole number. "
                    f"Found {line['fold']!r}."
                ) from error
            rows.append(SplitRow(line["image"], line["part"], fold))
    images = {row.image for row in rows}
    if len(images) != len(rows):
        raise DatasetError(
            f"{path} should name an image once. Found {len(rows)} rows of {len(images)} images."
        )
    return Split(path, tuple(rows))


def pick_part(split: Split, available: Sequence[str], part: str) -> tuple[str, ...]:
    """Return the available images of one part, in the order of the split.

    Args:
        split: The part of each image.
        available: Ids of the data set's images; images of the split that it lacks are logged.
        part: Name of the part, such as train, val or test.

    Raises:
        DatasetError: If the split lacks an available image, or has no such part.
    """
    parts = dict.fromkeys(row.part for row in split.rows)
    if part not in parts:
        raise DatasetError(f"`part` should be one of {', '.join(parts)}. Found {part!r}.")
    return _keep_available(split, [row.image for row in split.rows if row.part == part], available)


def pick_folds(split: Split, available: Sequence[str], folds: Collection[int]) -> tuple[str, ...]:
    """Return the available images of some folds, in the order of the split.

    Args:
        split: The part of each image.
        available: Ids of the data set's images; images of the split that it lacks are logged.
        folds: Numbers of the folds.

    Raises:
        DatasetError: If the split lacks an available image, or lacks one of the folds.
    """
    known = {row.fold for row in split.rows if row.fold is not None}
    if not known >= set(folds):
        raise DatasetError(
            f"`folds` should be among {sorted(known)}, those of {split.path}. "
            f"Found {sorted(folds)}."
        )
    return _keep_available(split, [row.image for row in split.rows if row.fold in folds], available)


def _keep_available(split: Split, images: list[str], available: Sequence[str]) -> tuple[str, ...]:
    placed = {row.image for row in split.rows}
    unplaced = [image for image in available if image not in placed]
    if unplaced:
        raise DatasetError(
            f"{split.path} should list every image of its data set. Found {len(unplaced)} "
            f"that it does not list: {name_some(unplaced)}."
        )
    there = set(available)
    absent = [image for image in images if image not in there]
    if absent:
        logger.warning(
            "%s: %d of %d images are not in the data set: %s",
            split.path,
            len(absent),
            len(images),
            name_some(absent),
        )
    return tuple(image for image in images if image in there)
