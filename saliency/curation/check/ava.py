"""A copy of AVA."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from saliency.curation.check.findings import CopyReport, Finding, OnFile, problem
from saliency.curation.check.images import Duplicates, ReadImage, try_image
from saliency.datasets.ava import read_image_list, read_votes
from saliency.datasets.base import list_images, require_file, require_folder
from saliency.datasets.sets import AVA_TEST_LIST, ava_parts
from saliency.threads import map_ahead

ROWS = 255_530
"""Number of rows of `AVA.txt` as published."""

TEST_IMAGES = 20_000
"""Number of images in the official test list."""

THUMBNAIL_PX = 144
"""An image whose shorter side is below this, half the rows that training sees, is a thumbnail."""


class AvaCopy:
    """A copy of AVA; see `saliency.datasets.AvaDataset` for its layout."""

    name = "AVA"

    def __init__(self, folder: Path) -> None:
        """Read votes and names.

        Raises:
            DatasetError: If a file is missing or of another kind.
        """
        self.folder = folder
        image_ids, _ = read_votes(require_file(folder, "AVA.txt", "AVA"))
        self._rated = [f"{image_id}.jpg" for image_id in image_ids.tolist()]
        self._images = require_folder(folder, "images", "AVA")
        self._present = list_images(self._images)
        self._tested = read_image_list(folder / AVA_TEST_LIST)
        self._parts = ava_parts(folder, "ava", self._present)

    def __len__(self) -> int:
        return len(self._present)

    def check(self, workers: int, on_file: OnFile) -> CopyReport:
        """Read every image."""
        rated, present = set(self._rated), set(self._present)
        tested = {f"{image_id}.jpg" for image_id in self._tested.tolist()}
        damaged: list[str] = []
        thumbnails: list[str] = []
        duplicates = Duplicates()

        def look(name: str) -> ReadImage:
            return try_image(self._images / name)

        looked = map_ahead(look, self._present, workers)
        for name, part, image in zip(self._present, self._parts, looked, strict=True):
            on_file()
            if image.error is not None:
                damaged.append(image.error)
            if image.size is None:
                continue
            if min(image.size) < THUMBNAIL_PX:
                thumbnails.append(f"{name}: {image.size[1]}x{image.size[0]}")
            if name in rated:  # training uses no others
                duplicates.add(part, f"{part}/{name}", image.digest)
        twice = [name for name, count in Counter(self._rated).items() if count > 1]
        return CopyReport(
            self.name,
            self.folder,
            (
                Finding("rows in AVA.txt", len(self._rated), ROWS),
                Finding("official test images", len(self._tested), TEST_IMAGES),
                Finding("images", len(self._present)),
                problem("images with two rows", twice),
                problem(
                    "rated images that are missing", [n for n in self._rated if n not in present]
                ),
                problem("images without votes", [n for n in self._present if n not in rated]),
                problem("test images without votes", sorted(tested - rated)),
                problem("damaged images", damaged),
                problem(f"thumbnails, a side below {THUMBNAIL_PX} pixels", thumbnails),
                problem("the same image in several parts", duplicates.across_parts()),
            ),
        )
