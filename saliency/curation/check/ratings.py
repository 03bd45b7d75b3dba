"""A table of ratings beside its images, such as OASIS."""

from __future__ import annotations

from pathlib import Path

from saliency.curation.check.findings import CopyReport, Finding, OnFile, problem
from saliency.curation.check.images import Duplicates, ReadImage, try_image
from saliency.datasets.base import list_images, require_file, require_folder
from saliency.datasets.ratings import read_rated_rows
from saliency.threads import map_ahead


class RatingsCopy:
    """A CSV of ratings; see `saliency.datasets.RatingsDataset` for its layout."""

    def __init__(self, table: Path, low: float, high: float) -> None:
        """Read the CSV and list the images.

        Args:
            table: The CSV; its images are in `images` beside it.
            low: Worst rating of the scale.
            high: Best rating of the scale.

        Raises:
            DatasetError: If a file is missing or of another kind, or a rating is off the scale.
        """
        self.folder = table.parent
        self.name = table.parent.resolve().name
        self._rows = read_rated_rows(require_file(table.parent, table.name, "ratings"), low, high)
        self._images = require_folder(table.parent, "images", "ratings")
        self._present = list_images(self._images)

    def __len__(self) -> int:
        return len(self._present)

    def check(self, workers: int, on_file: OnFile) -> CopyReport:
        """Read every image."""
        damaged: list[str] = []
        group_of = {row.file: row.group for row in self._rows}
        duplicates = Duplicates()

        def look(name: str) -> ReadImage:
            return try_image(self._images / name)

        looked = map_ahead(look, self._present, workers)
        for name, image in zip(self._present, looked, strict=True):
            on_file()
            if image.error is not None:
                damaged.append(image.error)
            duplicates.add(group_of.get(name, name), name, image.digest)
        present = set(self._present)
        return CopyReport(
            self.name,
            self.folder,
            (
                Finding("rows", len(self._rows)),
                Finding("images", len(self._present)),
                problem("rated images that are missing", [n for n in group_of if n not in present]),
                problem("images without a rating", [n for n in self._present if n not in group_of]),
                problem("damaged images", damaged),
                # A group is never divided between training and test.
                problem("the same image in several groups", duplicates.across_parts()),
            ),
        )
