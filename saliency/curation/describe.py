"""Describe a labelled set: number and sizes of images, where people looked, how they voted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.datasets import AvaDataset, LabelledDataset, PackedDataset, RatingsDataset, is_packed
from saliency.datasets.base import name_some
from saliency.datasets.config import SetConfig
from saliency.datasets.packed import read_manifest
from saliency.datasets.score_bins import Rating
from saliency.datasets.sets import groups_of, open_whole_set, parts_of
from saliency.densities import normalize_density
from saliency.errors import DatasetError, ImageError
from saliency.threads import map_ahead
from saliency.types import SCORES, Sample

LAYOUTS = {"AVA.txt": "ava", "maps": "salicon", "stimuli": "osie", "ratings.csv": "ratings"}
"""File or folder that a set contains -> its layout."""

DENSITY_SIZE = (96, 128)
"""(height, width) of the mean density: every image's frame is resized to it."""


@dataclass
class Description:
    """Description of one set.

    Attributes:
        name: Name of its folder.
        folder: Path of the folder.
        layout: Layout of the labels.
        packed: Whether it is packed.
        parts: Number of images in train, val and test, without a separate split.
        groups: Number of groups; None in a set without groups.
        looked: Number of images that were read, spread evenly over the set.
        damaged: Images among them that cannot be read, with the reason.
        sizes: (height, width) of each image.
        fixations: Number of fixations of each image, in a set with fixations.
        densities: Number of images in `mean_density`.
        mean_density: `DENSITY_SIZE` float32, sums to 1; None in a set without densities.
        scores: Mean of each image's score distribution, 1..10.
        score_stds: Standard deviation of each image's score distribution.
        votes: Number of raters of each image, where known.
    """

    name: str
    folder: Path
    layout: str
    packed: bool
    parts: dict[str, int]
    groups: int | None
    looked: int = 0
    damaged: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    fixations: list[int] = field(default_factory=list)
    densities: int = 0
    mean_density: NDArray[np.float32] | None = None
    scores: list[float] = field(default_factory=list)
    score_stds: list[float] = field(default_factory=list)
    votes: list[float] = field(default_factory=list)

    @property
    def images(self) -> int:
        """Number of images in the set."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class OpenSet:
    """A set to be described.

    Attributes:
        description: What is known without reading an image.
        dataset: The images.
        indices: Indices of the images to read.
    """

    description: Description
    dataset: LabelledDataset
    indices: Sequence[int]


def open_set(folder: Path, limit: int, low: float = 1, high: float = 7) -> OpenSet:
    """Open a folder that is packed or in one of the known layouts.

    Args:
        folder: The folder; its name becomes the set's name.
        limit: Most images to read; 0 for all.
        low: Worst rating of the scale, in the layout `ratings`.
        high: Best rating of the scale.

    Raises:
        DatasetError: If the folder is of no known layout, or does not match its layout.
    """
    name = folder.resolve().name
    packed = is_packed(folder)
    layout = read_manifest(folder).layout if packed else _find_layout(folder)
    config = SetConfig.model_validate(
        {"name": name, "layout": layout, "path": str(folder.resolve()), "low": low, "high": high}
    )
    dataset = open_whole_set(config, Path("/"))
    counts = Counter(parts_of(dataset, config, Path("/")))
    groups = groups_of(dataset)
    description = Description(
        name,
        folder,
        layout,
        packed,
        parts={part: counts[part] for part in ("train", "val", "test") if counts[part]},
        groups=None if groups is None else len(set(groups)),
    )
    step = -(-len(dataset) // limit) if limit else 1
    return OpenSet(description, dataset, range(0, len(dataset), step))


def describe(
    opened: OpenSet, workers: int = 1, on_image: Callable[[], None] | None = None
) -> Description:
    """Read the chosen images of a set; images that cannot be read are listed and skipped."""
    found, dataset = opened.description, opened.dataset
    total = np.zeros(DENSITY_SIZE)

    def read(index: int) -> tuple[Sample, Rating | None] | DatasetError | ImageError:
        try:
            return dataset[index], _rating(dataset, index)
        except (DatasetError, ImageError) as error:
            return error

    for outcome in map_ahead(read, opened.indices, workers):
        found.looked += 1
        if on_image is not None:
            on_image()
        if isinstance(outcome, DatasetError | ImageError):
            found.damaged.append(str(outcome))
            continue
        sample, rating = outcome
        found.sizes.append((sample.image.shape[0], sample.image.shape[1]))
        if sample.fixations is not None:
            found.fixations.append(len(sample.fixations.xs))
        if sample.density is not None:
            found.densities += 1
            rows, columns = DENSITY_SIZE
            small = cv2.resize(sample.density, (columns, rows), interpolation=cv2.INTER_AREA)
            total += normalize_density(np.asarray(small, np.float32))
        if sample.score_distribution is not None:
            mean = float(sample.score_distribution @ SCORES)
            variance = float(sample.score_distribution @ (SCORES - mean) ** 2)
            found.scores.append(mean)
            found.score_stds.append(variance**0.5)
        if rating is not None and rating.votes is not None:
            found.votes.append(float(sum(rating.votes)))
    if found.densities:
        found.mean_density = normalize_density(total)
    return found


def _find_layout(folder: Path) -> str:
    for inside, layout in LAYOUTS.items():
        if (folder / inside).exists():
            return layout
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise DatasetError(
        f"{folder} should be a packed set or contain one of {', '.join(LAYOUTS)}. "
        f"Found {name_some(names) or 'nothing'}."
    )


def _rating(dataset: LabelledDataset, index: int) -> Rating | None:
    if isinstance(dataset, AvaDataset | RatingsDataset | PackedDataset):
        return dataset.rating(index)
    return None
