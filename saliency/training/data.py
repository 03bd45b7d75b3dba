"""From the `data` table of a config to data sets and loaders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from saliency.attributes import Attribute
from saliency.datasets import (
    AvaDataset,
    DrawnDataset,
    LabelledDataset,
    MixedBatchSampler,
    OsieDataset,
    PackedDataset,
    RatingsDataset,
    SaliconDataset,
    Subset,
    TrainingDataset,
    collate,
    is_packed,
    pick_folds,
    pick_part,
    read_split,
    select,
    share_rows,
)
from saliency.datasets.ava import read_image_list
from saliency.devices import count_cores
from saliency.errors import ConfigError, DatasetError, ImageError, SaliencyError
from saliency.metrics import CenterBias
from saliency.preprocessing import Preprocessing
from saliency.training.config import DataConfig, SetConfig, TrainingConfig, is_rated
from saliency.training.distributed import World
from saliency.types import Batch, Sample

Part = Literal["train", "val", "test"]

AVA_TEST_LIST = "aesthetics_image_lists/generic_test.jpgl"
"""AVA's official test images, nearly 20,000. As in the papers, all others are for training, and a
hashed share of them for validation; the official training list names but 20,000 of these 235,000.
"""

VALIDATION_SHARE, TEST_SHARE = 0.08, 0.15
"""Of a set that comes with no split at all."""


@dataclass(frozen=True)
class LabelledSets:
    """The sets of one part, by what they teach."""

    saliency: tuple[LabelledDataset, ...]
    rated: tuple[LabelledDataset, ...]

    def __iter__(self) -> Iterator[LabelledDataset]:
        """Iterate over all, those with fixations first."""
        return iter((*self.saliency, *self.rated))


def find_data_root(config: DataConfig, given: Path | None = None) -> Path | None:
    """Return the folder of the sets: `given`, else SALIENCY_DATA, else the config's; or None."""
    if given is not None:
        return given
    from_environment = os.environ.get("SALIENCY_DATA")
    return Path(from_environment) if from_environment else config.root


def build_sets(config: DataConfig, part: Part, root: Path | None) -> LabelledSets:
    """Open one part of every set.

    Raises:
        ConfigError: A set needs a folder and no root is known.
        DatasetError: A folder is not what its layout says.
    """
    columns = config.attribute_columns()
    opened = [(is_rated(s), build_set(s, part, root, columns)) for s in config.sets]
    empty = [dataset.name for _, dataset in opened if not len(dataset)]
    if empty:
        raise DatasetError(
            f"The {part} part of every set should have images. Found none in {empty}."
        )
    return LabelledSets(
        saliency=tuple(dataset for rated, dataset in opened if not rated),
        rated=tuple(dataset for rated, dataset in opened if rated),
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
    """Return the part of each of AVA's images, as `parts_of`."""
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
        ConfigError: No root is known, or the layout is `drawn`, which has no whole.
        DatasetError: The folder is not what its layout says.
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
    if config.layout == "salicon":
        return SaliconDataset(folder, name=config.name)
    if config.layout == "osie":
        return OsieDataset(folder, config.name)
    if config.layout == "ratings":
        return RatingsDataset(
            folder, config.name, low=config.low, high=config.high, attributes=attributes
        )
    if config.layout == "ava":
        return AvaDataset(folder, name=config.name)
    raise ConfigError(f"`layout` should be one of photos. Found {config.layout!r}.")


def teach(sets: LabelledSets, config: TrainingConfig, device: torch.device) -> LabelledSets:
    """Return the training part with the labels that teachers or chance give it.

    Raises:
        CheckpointError: A teacher is no checkpoint of this project.
        ConfigError: Teachers lack the head for what their set lacks.
    """
    # Only here: most runs have no teacher, and a teacher is a whole predictor.
    from saliency.training.teaching import ShuffledRatings, TaughtDataset

    by_name = {s.name: s for s in config.data.sets}

    def changed(dataset: LabelledDataset) -> LabelledDataset:
        set_config = by_name[dataset.name]
        if set_config.shuffle_ratings:
            dataset = ShuffledRatings(dataset, config.train.seed)
        if set_config.teacher:
            dataset = TaughtDataset(
                dataset, set_config.teacher, device, share=set_config.taught_share
            )
        return dataset

    return LabelledSets(
        saliency=tuple(changed(dataset) for dataset in sets.saliency),
        rated=tuple(changed(dataset) for dataset in sets.rated),
    )


def uses_rated_images(config: TrainingConfig) -> bool:
    """Return whether rated images train scores, attributes or, by a teacher, the density."""
    return (
        config.model.aesthetics
        or bool(config.data.attributes)
        or any(bool(s.teacher) for s in config.data.sets if is_rated(s))
    )


def _folder(config: SetConfig, root: Path | None) -> Path:
    if root is None:
        raise ConfigError(
            f"The set {config.name!r} needs a folder. Name the one that holds the sets with "
            "--data, SALIENCY_DATA or data.root."
        )
    return root / (config.path or config.name)


def hashed_part(set_name: str, image_id: str, test_share: float = TEST_SHARE) -> Part:
    """Return the part of an image of a set without a split; names alone decide, for ever."""
    digest = hashlib.sha256(f"{set_name}/{image_id}".encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < test_share:
        return "test"
    return "val" if position < test_share + VALIDATION_SHARE else "train"


def fit_center_bias(dataset: LabelledDataset) -> CenterBias | None:
    """Return the centre bias of a set's images; None if it has no fixation points."""
    fixations, sizes = [], []
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ImageError:
            continue  # training names it
        if sample.fixations is not None and len(sample.fixations.xs):
            fixations.append(sample.fixations)
            sizes.append((sample.image.shape[0], sample.image.shape[1]))
    return CenterBias.fit(fixations, sizes) if fixations else None


def groups_of(dataset: LabelledDataset) -> tuple[str, ...] | None:
    """Return the theme of each image of a ratings set, None for other layouts."""
    whole = dataset.dataset if isinstance(dataset, Subset) else dataset
    if not isinstance(whole, RatingsDataset | PackedDataset) or not whole.groups:
        return None
    group_of = dict(zip(whole.ids, whole.groups, strict=True))
    return tuple(group_of[image_id] for image_id in dataset.ids)


def _one_thread(worker: int) -> None:
    """Keep OpenCV in a loader process from starting a thread a core in each of them."""
    cv2.setNumThreads(0)


class PlainBatches:
    """Images as they are, resized as training resizes them; every iteration gives the same."""

    def __init__(
        self,
        sets: LabelledSets,
        preprocessing: Preprocessing,
        limit: int,
        batch_size: int = 8,
    ) -> None:
        """Choose the images.

        Args:
            sets: Those with fixations come first.
            preprocessing: Of the network.
            limit: Images at most, spread evenly, with fixations and as many with ratings.
            batch_size: Images in a batch.
        """
        self._chosen: list[tuple[LabelledDataset, int]] = []
        for of_a_kind in (sets.saliency, sets.rated):
            images = [(dataset, i) for dataset in of_a_kind for i in range(len(dataset))]
            self._chosen += images[:: max(1, -(-len(images) // limit))]
        self._preprocessing = preprocessing
        self._batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        # As in TrainingLoader: albumentations takes seconds to import.
        from saliency.datasets.augmentation import Augmentation

        size = (self._preprocessing.height, self._preprocessing.width)
        resize = Augmentation(
            size, crop_scale=(1, 1), crop_ratio=(1, 1), flip_probability=0, color=False
        )
        samples = []
        for dataset, index in self._chosen:
            try:
                samples.append(resize(dataset[index], 0))
            except ImageError:
                continue  # training and evaluation name it
            if len(samples) == self._batch_size:
                yield self._collate(samples)
                samples = []
        if samples:
            yield self._collate(samples)

    def _collate(self, samples: list[Sample]) -> Batch:
        return collate(samples, self._preprocessing.mean, self._preprocessing.std, ())


@dataclass(frozen=True)
class _Reader(Dataset[Sample]):
    """What a loader process does; an error of ours comes back as a value.

    Raised there, it would come with the process's traceback in its text.
    """

    dataset: TrainingDataset
    collate: Callable[[list[Sample]], Batch]

    def __getitems__(self, indices: list[int]) -> list[Sample] | SaliencyError:
        try:
            return [self.dataset[index] for index in indices]
        except SaliencyError as error:
            return error

    def to_batch(self, read: list[Sample] | SaliencyError) -> Batch | SaliencyError:
        """Return the batch of what was read."""
        return read if isinstance(read, SaliencyError) else self.collate(read)


@contextmanager
def living_loaders() -> Iterator[None]:
    """Say in one line that a loader process was killed.

    PyTorch raises it wherever the main process is at that moment; reading what the process was
    just sending may fail first.

    Raises:
        SaliencyError: One was.
    """
    try:
        yield
    except (RuntimeError, ConnectionResetError, EOFError) as error:
        reason = str(error).strip().partition("\n")[0].removesuffix(".")
        if isinstance(error, RuntimeError) and not reason.startswith("DataLoader worker"):
            raise
        raise SaliencyError(
            f"Loader processes should live until the end. Found one gone: {reason}. If memory was "
            "short, take fewer data.workers or, in a container, give more shared memory "
            "(--shm-size). The same command goes on from the last save."
        ) from error


@dataclass(frozen=True)
class Share:
    """What one process computes of a step's batch.

    Attributes:
        image_count: Images in the batch, of all processes.
        rows: Where the images of each part stand in the batch.
        parts: Computed one after the other; none if there are fewer images than processes.
    """

    image_count: int
    rows: tuple[slice, ...]
    parts: tuple[Batch, ...]


class TrainingLoader:
    """Batches of an epoch, from any batch of it on, the same whenever and wherever asked.

    Processes that train together each load their share of every batch.

    Attributes:
        workers: Loader processes of this process: `data.workers`, but together with those of the
            run's other processes on this machine no more than there are cores.
    """

    def __init__(
        self,
        config: TrainingConfig,
        sets: LabelledSets,
        preprocessing: Preprocessing,
        world: World | None = None,
    ) -> None:
        # Only here: albumentations takes seconds to import and only training needs it.
        from saliency.datasets.augmentation import Augmentation

        data, train = config.data, config.train
        augmentation = Augmentation(
            (preprocessing.height, preprocessing.width),
            crop_scale=(data.crop_scale, 1.0),
            color=data.color,
            rated_crop_scale=(data.rated_crop_scale, 1.0) if data.rated_crop_scale < 1 else None,
        )
        self._dataset = TrainingDataset([*sets.saliency, *sets.rated], augmentation, train.seed)
        collated = partial(
            collate,
            mean=preprocessing.mean,
            std=preprocessing.std,
            dataset_names=config.saliency_set_names(),
        )
        self._reader = _Reader(self._dataset, collated)
        self._sampler = MixedBatchSampler(
            [len(dataset) for dataset in sets.saliency],
            [len(dataset) for dataset in sets.rated],
            train.saliency_per_batch if config.model.saliency else 0,
            train.rated_per_batch if uses_rated_images(config) else 0,
            train.seed,
        )
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun says so
        self.workers = min(data.workers, max(1, count_cores() // processes))
        self._seed = train.seed
        self._world = world or World()
        self._parts = train.accumulate

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return len(self._sampler)

    def shares(self, epoch: int, first_step: int = 0) -> Iterator[Share]:
        """Yield this process's share of each batch of `epoch`, without the first `first_step`."""
        counts = [len(batch) for batch in self._batches(epoch)[first_step:]]
        parts = self.epoch(epoch, first_step)
        for count in counts:
            rows = self._rows(count)
            yield Share(count, tuple(rows), tuple(next(parts) for _ in rows))

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the parts of `shares` one after the other; whole batches for a lone process.

        Raises:
            DatasetError: A label, a whole shard or all images of a set cannot be read.
        """
        self._dataset.set_epoch(epoch)
        loader: DataLoader[Sample] = DataLoader(
            self._reader,
            batch_sampler=[
                batch[rows]
                for batch in self._batches(epoch)[first_step:]
                for rows in self._rows(len(batch))
            ],
            num_workers=self.workers,
            collate_fn=self._reader.to_batch,
            worker_init_fn=_one_thread,
            pin_memory=torch.cuda.is_available(),
            # Its own random numbers: drawing from torch's would make a resumed run differ.
            generator=torch.Generator().manual_seed(self._seed + epoch),
        )
        for part in loader:
            if isinstance(part, SaliencyError):
                raise part
            yield part

    def _batches(self, epoch: int) -> list[list[int]]:
        self._sampler.set_epoch(epoch)
        return list(self._sampler)

    def _rows(self, count: int) -> list[slice]:
        return share_rows(count, self._world.rank, self._world.size, self._parts)
