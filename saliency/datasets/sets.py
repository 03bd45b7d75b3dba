"""Open the sets of a recipe's `data` table, whole or by part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saliency.attributes import Attribute
from saliency.datasets.ava import read_image_list
from saliency.datasets.base import LabelledDataset, Subset, select
from saliency.datasets.config import DataConfig, PhotosConfig, SetConfig, is_rated
from saliency.datasets.drawn import DrawnDataset
from saliency.datasets.layouts import LAYOUTS
from saliency.datasets.packed import PackedDataset, is_packed
from saliency.datasets.photos import PhotosDataset
from saliency.datasets.ratings import RatingsDataset
from saliency.datasets.salicon import SaliconDataset
from saliency.datasets.splits import pick_folds, pick_part, read_split
from saliency.errors import ConfigError, DatasetError

Part = Literal["train", "val", "test"]

AVA_TEST_LIST = "aesthetics_image_lists/generic_test.jpgl"
"""AVA's official test images, nearly 20,000. As in the papers, all others are for training, and a
hashed share of them for validation; the official training list has only 20,000 of these 235,000.
"""

VALIDATION_SHARE, TEST_SHARE = 0.08, 0.15
"""Shares of a set without any split."""


@dataclass(frozen=True)
class LabelledSets:
    """The sets of one part, by what they teach.

    Attributes:
        saliency: Sets with fixations.
        rated: Sets with ratings.
        photos: Sets without labels; only the part `train` has any.
    """

    saliency: tuple[LabelledDataset, ...]
    rated: tuple[LabelledDataset, ...]
    photos: tuple[LabelledDataset, ...] = ()

    def __iter__(self) -> Iterator[LabelledDataset]:
        """Iterate over the labelled sets, those with fixations first."""
        return iter((*self.saliency, *self.rated))


def build_sets(config: DataConfig, part: Part, root: Path | None) -> LabelledSets:
    """Open one part of every set.

    Raises:
        ConfigError: A set needs a folder and no root is known, or no set has images in `part`.
        DatasetError: A folder does not match its layout.
    """
    columns = config.attribute_columns()
    measured = [s for s in config.sets if part == "train" or not trains_only(s)]
    if not measured:
        raise ConfigError(f"A set should have images in its part {part}. Found no set that has.")
    opened = [(is_rated(s), build_set(s, part, root, columns)) for s in measured]
    empty = [dataset.name for _, dataset in opened if not len(dataset)]
    if empty:
        raise DatasetError(
            f"The {part} part of every set should have images. Found none in {empty}."
        )
    return LabelledSets(
        saliency=tuple(dataset for rated, dataset in opened if not rated),
        rated=tuple(dataset for rated, dataset in opened if rated),
        photos=tuple(
            PhotosDataset(_folder(photos, root), photos.name)
            for photos in (config.photos if part == "train" else ())
        ),
    )


def build_set(
    config: SetConfig,
    part: Part,
    root: Path | None,
    attributes: Mapping[str, Attribute] | None = None,
) -> LabelledDataset:
    """Open one part of one set; see `build_sets`."""
    if config.layout == "drawn":
        seed = ("train", "val", "test").index(part) + (10 if config.rated else 0)
        return DrawnDataset(
            config.count, seed, name=config.name, rated=config.rated, attributes=attributes
        )
    if config.split is None and config.layout == "salicon":
        if part == "test":
            raise ConfigError(
                f"The set {config.name!r} has public labels for train and val. Found 'test'; "
                "give it a `split` of your own."
            )
        if not is_packed(_folder(config, root)):
            return SaliconDataset(_folder(config, root), (part,), config.name)
    dataset = open_whole_set(config, root, attributes)
    if config.split is None:
        parts = parts_of(dataset, config, root)
        return Subset(dataset, tuple(i for i, found in enumerate(parts) if found == part))
    split = read_split(config.split)
    if config.test_fold is None:
        return select(dataset, pick_part(split, dataset.ids, part))
    left_out = pick_folds(split, dataset.ids, [config.test_fold])
    if part == "test":
        return select(dataset, left_out)
    # The split's own test part stays untouched in every fold.
    return select(dataset, [i for i in pick_part(split, dataset.ids, part) if i not in left_out])


def trains_only(config: SetConfig) -> bool:
    """Return whether a set's split keeps no image for validation or test.

    One that is cross-validated is tested on its folds, whatever parts there are.
    """
    if config.split is None or config.test_fold is not None:
        return False
    return {row.part for row in read_split(config.split).rows}.isdisjoint(("val", "test"))


def parts_of(dataset: LabelledDataset, config: SetConfig, root: Path | None) -> tuple[str, ...]:
    """Return the part of each image of a whole set where no split says otherwise.

    Raises:
        DatasetError: AVA's list of test images is missing or damaged.
    """
    if isinstance(dataset, SaliconDataset | PackedDataset):
        return dataset.parts
    if config.layout == "ava":
        return ava_parts(_folder(config, root), config.name, dataset.ids)
    return tuple(hashed_part(config.name, image_id) for image_id in dataset.ids)


def ava_parts(folder: Path, name: str, ids: Sequence[str]) -> tuple[Part, ...]:
    """Return the part of each of AVA's images, by the official test list."""
    tested = {f"{image_id}.jpg" for image_id in read_image_list(folder / AVA_TEST_LIST).tolist()}
    return tuple("test" if i in tested else hashed_part(name, i, 0.0) for i in ids)


def open_whole_set(
    config: SetConfig, root: Path | None, attributes: Mapping[str, Attribute] | None = None
) -> LabelledDataset:
    """Open all labelled images of a set of photos, packed or in its own layout.

    Args:
        config: The set.
        root: Folder of the sets.
        attributes: Column -> attribute, of which the layout `ratings` has labels.

    Raises:
        ConfigError: No root is known, or the layout is `drawn`, which cannot be opened whole.
        DatasetError: The folder does not match its layout.
    """
    folder = _folder(config, root)
    if is_packed(folder):
        held = attributes if config.layout == "ratings" else None
        packed = PackedDataset(folder, config.name, held)
        if packed.layout != config.layout:
            raise DatasetError(
                f"{folder} should be packed from the layout {config.layout!r}, that of the set "
                f"{config.name!r}. Found {packed.layout!r}."
            )
        return packed
    open_layout = LAYOUTS[config.layout].open
    if open_layout is None:
        raise ConfigError(f"`layout` should be one that reads files. Found {config.layout!r}.")
    return open_layout(config, folder, attributes)


def groups_of(dataset: LabelledDataset) -> tuple[str, ...] | None:
    """Return the theme of each image of a ratings set, None for other layouts."""
    whole = dataset.dataset if isinstance(dataset, Subset) else dataset
    if not isinstance(whole, RatingsDataset | PackedDataset) or not whole.groups:
        return None
    group_of = dict(zip(whole.ids, whole.groups, strict=True))
    return tuple(group_of[image_id] for image_id in dataset.ids)


def hashed_part(set_name: str, image_id: str, test_share: float = TEST_SHARE) -> Part:
    """Return the part of an image of a set without a split; it depends on the names alone."""
    digest = hashlib.sha256(f"{set_name}/{image_id}".encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < test_share:
        return "test"
    return "val" if position < test_share + VALIDATION_SHARE else "train"


def _folder(config: SetConfig | PhotosConfig, root: Path | None) -> Path:
    if root is None:
        raise ConfigError(
            f"The set {config.name!r} needs a folder. Name the one that holds the sets with "
            "--data, SALIENCY_DATA or data.root."
        )
    return root / (config.path or config.name)
