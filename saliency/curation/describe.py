"""What is in a labelled set: how many images, how large, where people looked, what they voted."""

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
from saliency.datasets.packed import read_manifest
from saliency.datasets.score_bins import Rating
from saliency.densities import normalize_density
from saliency.errors import DatasetError, ImageError
from saliency.threads import map_ahead
from saliency.training.config import SetConfig
from saliency.training.data import groups_of, open_whole_set, parts_of
from saliency.types import SCORES, Sample

LAYOUTS = {"AVA.txt": "ava", "maps": "salicon", "stimuli": "osie", "ratings.csv": "ratings"}
"""What a folder holds -> its layout."""

DENSITY_SIZE = (96, 128)
"""(height, width) of the mean density: every image's frame, stretched."""


@dataclass
class Description:
    """What is in one set.

    Attributes:
        name: Of its folder.
        folder: Where it is.
        layout: Of the labels.
        packed: Whether it is packed.
        parts: Images in train, val and test where no split says otherwise.
        groups: How many groups there are; None in a set without.
        looked: How many images the rest is of, spread evenly.
        damaged: Those of them that cannot be read, with the reason.
        sizes: (height, width) of each image.
        fixations: How many each image has, in a set with fixations.
        densities: Number of images in `mean_density`.
        mean_density: `DENSITY_SIZE` float32, sums to 1; None in a set without.
        scores: Mean of each image's score distribution, 1..10.
        score_stds: Standard deviation of each image's score distribution.
        votes: How many people rated each image, where that is known.
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
        """How many images the set has."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class OpenSet:
    """A set to be described.

    Attributes:
        description: With what is known without reading an image.
        dataset: The images.
        indices: Those that are going to be read.
    """

    description: Description
    dataset: LabelledDataset
    indices: Sequence[int]


def open_set(folder: Path, limit: int, low: float = 1, high: float = 7) -> OpenSet:
    """Open a folder, packed or in one of the layouts that are known.

    Args:
        folder: Its name becomes the set's.
        limit: Images to read at most; 0 for all.
        low: Worst rating of the scale, in the layout `ratings`.
        high: Best rating of the scale.

    Raises:
        DatasetError: If the folder is of no known layout, or not what its layout says.
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
    """Read the chosen images of a set; one that cannot be read is named and passed over."""
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
        f"{folder} should be a packed set or hold one of {', '.join(LAYOUTS)}. "
        f"Found {name_some(names) or 'nothing'}."
    )


def _rating(dataset: LabelledDataset, index: int) -> Rating | None:
    if isinstance(dataset, AvaDataset | RatingsDataset | PackedDataset):
        return dataset.rating(index)
    return None
