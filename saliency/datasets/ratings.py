"""Ratings in a CSV file beside a folder of images, as OASIS or one's own."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.datasets.base import (
    list_images,
    name_some,
    report_skipped,
    require_file,
    require_folder,
)
from saliency.datasets.score_bins import score_to_ten_bins, to_ten_bins
from saliency.errors import DatasetError
from saliency.images import read_image
from saliency.types import Sample

_COUNT_COLUMN = re.compile(r"count_(-?\d+)")


class RatingsDataset:
    """Images with ratings on any scale, mapped to the ten bins.

    The CSV has a column `file` and either a column `count_<r>` for every rating r of the scale
    (how many people gave it) or a column `score` (the mean rating). An optional column `group`
    names images that belong together: split by it, or near twins leak from training to test.

    Attributes:
        name: Name of the set in its samples.
        ids: File names.
        groups: Group of each image; an image without one is its own group.
    """

    def __init__(
        self,
        root: Path,
        name: str = "oasis",
        csv_name: str = "ratings.csv",
        low: float = 1,
        high: float = 7,
        images: str = "images",
    ) -> None:
        """Read all ratings; images are read on access.

        Args:
            root: Folder that holds the CSV and the images' folder.
            name: Name of the set in its samples.
            csv_name: File name of the CSV.
            low: Worst rating of the scale.
            high: Best rating of the scale.
            images: Name of the images' folder.

        Raises:
            DatasetError: If a file is not there, or the CSV does not fit the scale.
        """
        self.name = name
        root = Path(root)
        self._images = require_folder(root, images, "ratings")
        table = require_file(root, csv_name, "ratings")
        present = list_images(self._images)
        ids: list[str] = []
        groups: list[str] = []
        distributions: list[NDArray[np.float32]] = []
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            count_columns = _check_columns(table, list(rows.fieldnames or ()), low, high)
            for row in rows:
                try:
                    distribution = (
                        to_ten_bins([float(row[c]) for c in count_columns], int(low), int(high))
                        if count_columns
                        else score_to_ten_bins(float(row["score"]), low, high)
                    )
                except (DatasetError, TypeError, ValueError) as error:
                    raise DatasetError(f"{table}, line {rows.line_num}: {error}") from error
                ids.append(row["file"])
                groups.append(row.get("group") or row["file"])
                distributions.append(distribution.astype(np.float32))
        twice = [image_id for image_id, count in Counter(ids).items() if count > 1]
        if twice:
            raise DatasetError(
                f"{table} should name an image once. Found twice: {name_some(twice)}."
            )

        known, there = set(ids), set(present)
        report_skipped(name, [i for i in ids if i not in there], f"missing in {self._images}")
        report_skipped(name, [i for i in present if i not in known], f"without a row in {csv_name}")
        kept = [index for index, image_id in enumerate(ids) if image_id in there]
        if not kept:
            raise DatasetError(
                f"Expected the images that {table} names, such as {name_some(ids) or 'any'}, in "
                f"{self._images}. Found {name_some(present)}."
            )
        self.ids = tuple(ids[index] for index in kept)
        self.groups = tuple(groups[index] for index in kept)
        self._distributions = tuple(distributions[index] for index in kept)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        """Read one image with its ratings.

        Raises:
            ImageError: If the image cannot be decoded.
        """
        return Sample(
            read_image(self._images / self.ids[index]),
            self.name,
            self.ids[index],
            score_distribution=self._distributions[index],
        )


def _check_columns(table: Path, columns: list[str], low: float, high: float) -> list[str]:
    """Return the count columns in the order of their ratings; none if the CSV has means."""
    found = f"Found columns {', '.join(columns) or '(none)'}."
    if "file" not in columns:
        raise DatasetError(f"{table} should have a column `file`. {found}")
    ratings = sorted(int(match[1]) for c in columns if (match := _COUNT_COLUMN.fullmatch(c)))
    if ratings:
        if low != ratings[0] or high != ratings[-1] or len(ratings) != high - low + 1:
            raise DatasetError(
                f"{table} should have a column `count_<r>` for every rating r of "
                f"{low:g}..{high:g}. {found}"
            )
        return [f"count_{rating}" for rating in ratings]
    if "score" not in columns:
        raise DatasetError(
            f"{table} should have columns `count_{low:g}` to `count_{high:g}` or `score`. {found}"
        )
    return []
