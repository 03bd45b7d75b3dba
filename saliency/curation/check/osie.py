"""A copy of OSIE, or of another set in its layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saliency.curation.check.findings import CopyReport, Finding, OnFile, problem
from saliency.curation.check.images import Duplicates, ReadImage, try_image
from saliency.datasets.base import keep_inside, list_images, require_file, require_folder
from saliency.datasets.osie import read_fixation_table
from saliency.threads import map_ahead


class OsieCopy:
    """A copy of OSIE; see `saliency.datasets.OsieDataset` for its layout."""

    def __init__(self, folder: Path) -> None:
        """Read all fixations and list the images.

        Raises:
            DatasetError: If a file is missing or of another kind.
        """
        self.folder = folder
        self.name = folder.resolve().name
        self._stimuli = require_folder(folder, "stimuli", "OSIE")
        self._images = list_images(self._stimuli)
        self._table = read_fixation_table(require_file(folder, "eye/fixations.mat", "OSIE"))
        points = np.diff(self._table.starts)
        self._entry_of = {name: e for e, name in enumerate(self._table.images) if points[e]}

    def __len__(self) -> int:
        return len(self._images)

    def check(self, workers: int, on_file: OnFile) -> CopyReport:
        """Read every image."""
        damaged: list[str] = []
        outside: list[str] = []
        duplicates = Duplicates()

        def look(name: str) -> ReadImage:
            return try_image(self._stimuli / name)

        looked = map_ahead(look, self._images, workers)
        for name, image in zip(self._images, looked, strict=True):
            on_file()
            if image.error is not None:
                damaged.append(image.error)
            if image.size is None:
                continue
            if name in self._entry_of and not self._count_inside(name, image.size):
                outside.append(name)
            # Parts are unknown here: any repeated image could end up in two parts.
            duplicates.add(name, name, image.digest)
        present = set(self._images)
        return CopyReport(
            self.name,
            self.folder,
            (
                Finding("images", len(self._images)),
                problem(
                    "images without fixations", [n for n in self._images if n not in self._entry_of]
                ),
                problem(
                    "fixations without an image",
                    [n for n in self._table.images if n not in present],
                ),
                problem("damaged images", damaged),
                problem("images with fixations of which none is inside", outside),
                problem("the same image twice", duplicates.across_parts()),
            ),
        )

    def _count_inside(self, name: str, size: tuple[int, int]) -> int:
        entry = self._entry_of[name]
        points = slice(self._table.starts[entry], self._table.starts[entry + 1])
        return len(keep_inside(self._table.xs[points], self._table.ys[points], size).xs)
