"""A copy of SALICON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from saliency.curation.check.findings import CopyReport, Finding, OnFile, problem
from saliency.curation.check.images import Duplicates, ReadImage, try_image
from saliency.datasets.base import list_images, require_folder
from saliency.datasets.salicon import read_fixations, read_map
from saliency.errors import DatasetError, ImageError
from saliency.threads import map_ahead

IMAGES = {"train": 10_000, "val": 5_000, "test": 5_000}
"""Number of images in each part; the labels of test are not public."""

SIZE = (480, 640)
"""(height, width) of every image."""


class _Looked(NamedTuple):
    """The result of reading the files of one image."""

    image: ReadImage
    label_errors: tuple[str, ...]
    fixations: int | None


class SaliconCopy:
    """A copy of SALICON; see `saliency.datasets.SaliconDataset` for its layout."""

    name = "SALICON"

    def __init__(self, folder: Path) -> None:
        """List the files.

        Raises:
            DatasetError: If the folders of train or val are missing.
        """
        self.folder = folder
        self._images = {
            part: list_images(require_folder(folder, f"images/{part}", "SALICON"))
            for part in IMAGES
            if part != "test" or (folder / "images/test").is_dir()
        }
        self._maps = {
            part: {
                _stem(name)
                for name in list_images(require_folder(folder, f"maps/{part}", "SALICON"))
            }
            for part in self._images
            if part != "test"
        }
        self._fixations = {part: _fixation_stems(folder, part) for part in self._maps}

    def __len__(self) -> int:
        return sum(map(len, self._images.values()))

    def check(self, workers: int, on_file: OnFile) -> CopyReport:
        """Read every image, map and fixation file."""
        damaged: list[str] = []
        labels: list[str] = []
        sizes: list[str] = []
        unseen: list[str] = []
        duplicates = Duplicates()
        looked = map_ahead(self._look, self._each(), workers)
        for (part, name), (image, label_errors, fixations) in zip(
            self._each(), looked, strict=True
        ):
            on_file()
            labels.extend(label_errors)
            if image.error is not None:
                damaged.append(image.error)
            if image.size is None:
                continue
            if image.size != SIZE:
                sizes.append(f"{part}/{name}: {image.size[1]}x{image.size[0]}")
            if fixations == 0:
                unseen.append(f"{part}/{name}")
            duplicates.add(part, f"{part}/{name}", image.digest)
        return CopyReport(
            self.name,
            self.folder,
            (
                *(
                    Finding(f"images in {part}", len(names), IMAGES[part])
                    for part, names in self._images.items()
                ),
                *self._partners(),
                problem("damaged images", damaged),
                problem("damaged or empty maps and fixations, or of another size", labels),
                problem(f"images that are not {SIZE[1]}x{SIZE[0]}", sizes),
                problem("images with fixations of which none is inside", unseen),
                problem("the same image in several parts", duplicates.across_parts()),
            ),
        )

    def _each(self) -> Iterator[tuple[str, str]]:
        """Iterate over (part, name) of all images."""
        for part, names in self._images.items():
            for name in names:
                yield part, name

    def _partners(self) -> tuple[Finding, ...]:
        """Find images without labels and labels without images."""
        pictured = {part: {_stem(name) for name in self._images[part]} for part in self._maps}

        def absent(wanted: dict[str, set[str]], there: dict[str, set[str]]) -> list[str]:
            return [
                f"{part}/{stem}" for part in wanted for stem in sorted(wanted[part] - there[part])
            ]

        with_files = any(self._fixations.values())
        return (
            problem("images without a map", absent(pictured, self._maps)),
            problem("maps without an image", absent(self._maps, pictured)),
            # Maps alone suffice, but a copy has fixations for all images or for none.
            problem(
                "images without fixations", absent(pictured, self._fixations) if with_files else []
            ),
            problem("fixations without an image", absent(self._fixations, pictured)),
        )

    def _look(self, image: tuple[str, str]) -> _Looked:
        part, name = image
        read = try_image(self.folder / "images" / part / name)
        if read.size is None or part not in self._maps:
            return _Looked(read, (), None)
        errors: list[str] = []
        fixations = None
        stem = _stem(name)
        try:
            if stem in self._maps[part]:
                read_map(self.folder / "maps" / part / f"{stem}.png", read.size)
        except (DatasetError, ImageError) as error:
            errors.append(str(error))
        try:
            found = read_fixations(self.folder, part, stem, read.size)
            fixations = None if found is None else len(found.xs)
        except (DatasetError, ImageError) as error:
            errors.append(str(error))
        return _Looked(read, tuple(errors), fixations)


def _fixation_stems(folder: Path, part: str) -> set[str]:
    """Return the images that have fixations of either kind."""
    return {
        path.stem
        for kind, suffix in (("fixations", ".mat"), ("fixations_png", ".png"))
        if (folder / kind / part).is_dir()
        for path in (folder / kind / part).iterdir()
        if path.suffix == suffix and not path.name.startswith(".")
    }


def _stem(name: str) -> str:
    return Path(name).stem
