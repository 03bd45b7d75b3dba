"""Ratings in a CSV file beside a folder of images, such as OASIS or your own."""

import csv
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from saliency.attributes import Attribute
from saliency.datasets.base import (
    list_images,
    name_some,
    report_skipped,
    require_file,
    require_folder,
)
from saliency.datasets.score_bins import Rating
from saliency.errors import DatasetError
from saliency.images import read_image
from saliency.types import Sample

_COUNT_COLUMN = re.compile(r"count_(0|-?[1-9]\d*)")


class RatingsDataset:
    """Images with ratings on any scale, mapped to the ten bins.

    The CSV has a column `file` and either a column `count_<r>` for every rating r of the scale
    (how many people gave it) or a column `score` (the mean rating). An optional column `group`
    names images that belong together: split by it, or near-duplicates leak from training to test.
    Further columns may hold attributes; an empty cell or a missing column is an unknown value.

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
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """Read all ratings; images are read on access.

        Args:
            root: Folder that holds the CSV and the images' folder.
            name: Name of the set in its samples.
            csv_name: File name of the CSV.
            low: Worst rating of the scale.
            high: Best rating of the scale.
            images: Name of the images' folder.
            attributes: Column of the CSV -> the attribute that it holds.

        Raises:
            DatasetError: If a file is missing, or the CSV does not fit the scales.
        """
        self.name = name
        root = Path(root)
        self._images = require_folder(root, images, "ratings")
        table = require_file(root, csv_name, "ratings")
        present = list_images(self._images)
        rows = read_rated_rows(table, low, high, attributes or {})
        ids = [row.file for row in rows]
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
        self.groups = tuple(rows[index].group for index in kept)
        self._ratings = tuple(rows[index].rating for index in kept)
        self._attributes = tuple(rows[index].attributes for index in kept)
        self._further = tuple(rows[index].further for index in kept)

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
            score_distribution=self.rating(index).to_distribution(),
            attributes=self._attributes[index],
        )

    def rating(self, index: int) -> Rating:
        """Return the rating of one image, without reading it."""
        return self._ratings[index]

    def further(self, index: int) -> dict[str, str]:
        """Return the further cells of one image (all but name and counts), column -> cell."""
        return self._further[index]


class RatedRow(NamedTuple):
    """A line of the CSV.

    Attributes:
        file: Name of the image.
        group: Group of the image; its own name if the CSV has none.
        rating: Rating, which fits the scale.
        attributes: Label of each requested attribute, nan if unknown.
        further: The cells of all columns but the name's and the counts', empty ones left out.
    """

    file: str
    group: str
    rating: Rating
    attributes: tuple[float, ...]
    further: dict[str, str]


def read_rated_rows(
    table: Path, low: float, high: float, attributes: Mapping[str, Attribute] | None = None
) -> list[RatedRow]:
    """Read the CSV of a `RatingsDataset`.

    Args:
        table: The CSV.
        low: Worst rating of the scale.
        high: Best rating of the scale.
        attributes: Column -> the attribute that it holds.

    Raises:
        DatasetError: If a column is missing, a line does not fit the scale, or two name one image.
    """
    try:
        return _read_rows(table, low, high, attributes or {})
    except UnicodeDecodeError as error:
        raise DatasetError(f"{table} should be UTF-8. Found: {error}") from error
    except csv.Error as error:
        raise DatasetError(f"{table} should be a CSV. Found: {error}") from error


def _read_rows(
    table: Path, low: float, high: float, attributes: Mapping[str, Attribute]
) -> list[RatedRow]:
    read: list[RatedRow] = []
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, strict=True)
        columns = list(rows.fieldnames or ())
        count_columns = _check_columns(table, columns, low, high)
        further = [c for c in columns if c not in {"file", *count_columns}]
        for row in rows:
            try:
                rating = (
                    Rating(low, high, votes=tuple(float(row[c]) for c in count_columns))
                    if count_columns
                    else Rating(low, high, score=float(row["score"]))
                )
                rating.to_distribution()  # checked now, where the line's number is known
                labels = to_labels(row, attributes)
                _check_cells(row, len(columns))
            except (DatasetError, TypeError, ValueError) as error:
                raise DatasetError(f"{table}, line {rows.line_num}: {error}") from error
            group = row.get("group") or row["file"]
            extra = {column: row[column] for column in further if row[column]}
            read.append(RatedRow(row["file"], group, rating, labels, extra))
    twice = [name for name, count in Counter(row.file for row in read).items() if count > 1]
    if twice:
        raise DatasetError(f"{table} should name an image once. Found twice: {name_some(twice)}.")
    return read


def _check_cells(row: Mapping[str | None, object], columns: int) -> None:
    """Refuse a line of another length, such as one with decimal commas.

    Raises:
        DatasetError: It has more or fewer cells than columns, or names no image.
    """
    more = row.get(None)
    if more or None in row.values() or not row["file"]:
        found = columns + len(more) if isinstance(more, list) else "fewer, or no file"
        raise DatasetError(
            f"a line should have {columns} cells, the file among them. Found {found}."
        )


def to_labels(cells: Mapping[str, str], attributes: Mapping[str, Attribute]) -> tuple[float, ...]:
    """Return the label of each attribute, nan where its cell is empty or missing.

    Args:
        cells: Column -> cell.
        attributes: Column -> the attribute that it holds.

    Raises:
        DatasetError: A cell does not fit its attribute.
    """
    return tuple(
        attribute.to_label(cells[column]) if cells.get(column) else float("nan")
        for column, attribute in attributes.items()
    )


def _check_columns(table: Path, columns: list[str], low: float, high: float) -> list[str]:
    """Return the count columns in the order of their ratings; none if the CSV has means."""
    found = f"Found columns {', '.join(columns) or '(none)'}."
    if "file" not in columns:
        raise DatasetError(f"{table} should have a column `file`. {found}")
    if len(set(columns)) < len(columns):
        raise DatasetError(f"{table} should have each column once. {found}")
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
