"""Batches from opened data sets: labels by teachers, loaders, the share of each process."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from saliency.datasets import (
    Draw,
    LabelledDataset,
    MixedBatchSampler,
    TrainingDataset,
    collate,
    share_rows,
)
from saliency.datasets.config import is_rated
from saliency.datasets.sets import LabelledSets
from saliency.devices import count_cores
from saliency.errors import ImageError, SaliencyError
from saliency.preprocessing import Preprocessing
from saliency.training.config import TrainingConfig
from saliency.training.distributed import World
from saliency.types import Batch, Sample

OTHER_SIZES = 0.5
"""Share of the batches that have another size than the main one, if there are several sizes."""

FARTHEST = 1.8
"""Largest factor between the proportions of these sizes and those of the main one."""


def teach(
    sets: LabelledSets,
    config: TrainingConfig,
    device: torch.device,
    run_dir: Path | None = None,
    on_image: Callable[[str, int, int], None] | None = None,
) -> LabelledSets:
    """Return the training part with the labels that teachers or chance give it.

    Args:
        sets: The training part.
        config: The recipe.
        device: Device that teachers compute on.
        run_dir: Folder of the run, which keeps their predictions for when it is resumed.
        on_image: Called after each image that teachers label: its set, how many are done and how
            many there are.

    Raises:
        CheckpointError: A teacher is no checkpoint of this project.
        ConfigError: Teachers lack the head for the labels that their set lacks.
    """
    # Only here: most runs have no teacher, and a teacher is a whole predictor.
    from saliency.training.teaching import ShuffledRatings, TaughtDataset

    def taught(
        dataset: LabelledDataset, teachers: Sequence[Path], share: float = 0.0
    ) -> LabelledDataset:
        return TaughtDataset(
            dataset,
            teachers,
            device,
            share=share,
            precision="bfloat16" if config.train.in_half(device.type) else "float32",
            kept_in=run_dir and run_dir / "taught" / f"{dataset.name}.safetensors",
            on_image=on_image and partial(on_image, dataset.name),
        )

    by_name = {s.name: s for s in config.data.sets}

    def changed(dataset: LabelledDataset) -> LabelledDataset:
        set_config = by_name[dataset.name]
        if set_config.shuffle_ratings:
            dataset = ShuffledRatings(dataset, config.train.seed)
        if set_config.teacher:
            dataset = taught(dataset, set_config.teacher, set_config.taught_share)
        return dataset

    return LabelledSets(
        saliency=tuple(changed(dataset) for dataset in sets.saliency),
        rated=tuple(changed(dataset) for dataset in sets.rated),
        photos=tuple(
            taught(dataset, photos.teacher) if photos.teacher else dataset
            for dataset, photos in zip(sets.photos, config.data.photos, strict=True)
        ),
    )


def uses_rated_images(config: TrainingConfig) -> bool:
    """Return whether rated images train scores, attributes or, by a teacher, the density."""
    return (
        config.model.aesthetics
        or bool(config.data.attributes)
        or any(bool(s.teacher) for s in config.data.sets if is_rated(s))
    )


def start_loader(worker: int) -> None:
    """Prepare a loader process: one thread for OpenCV, and no life without its parent.

    From here on PyTorch ends a loader whose parent changes. One whose parent ended before would
    wait for images for ever.
    """
    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)


class PlainBatches:
    """Images without augmentation, stretched to the main size; every iteration gives the same."""

    def __init__(
        self,
        sets: LabelledSets,
        preprocessing: Preprocessing,
        limit: int,
        batch_size: int = 8,
    ) -> None:
        """Choose the images.

        Args:
            sets: The sets; those with fixations come first.
            preprocessing: The network's preprocessing.
            limit: Largest number of images with fixations, and of images with ratings; they are
                spread evenly.
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
        return collate(samples, self._preprocessing.mean, self._preprocessing.std, {})


@dataclass(frozen=True)
class _Reader(Dataset[list[Sample]]):
    """The work of a loader process; an error of this package comes back as a value.

    If it were raised there, its text would contain the process's traceback.
    """

    dataset: TrainingDataset
    collate: Callable[[list[Sample]], Batch]

    def __getitems__(self, draws: list[Draw]) -> list[Sample] | SaliencyError:
        try:
            return [row for draw in draws for row in self.dataset.read(draw)]
        except SaliencyError as error:
            return error

    def to_batch(self, read: list[Sample] | SaliencyError) -> Batch | SaliencyError:
        """Return the batch of the images that were read."""
        return read if isinstance(read, SaliencyError) else self.collate(read)


@contextmanager
def living_loaders() -> Iterator[None]:
    """Turn the death of a loader process into an error of one line.

    PyTorch raises its error wherever the main process is at that moment; reading the data that the
    process was sending may fail before.

    Raises:
        SaliencyError: A loader process was killed.
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
            "(--shm-size). Run the same command again; it continues from the last save."
        ) from error


def training_sizes(preprocessing: Preprocessing) -> tuple[tuple[int, int], ...]:
    """Return the (h, w) of batches, the main one first: sizes that crops of usual photos have.

    Sizes of very different proportions are left out: an upright crop of a landscape photo would be
    too narrow to look like a photo.
    """
    main, *others = preprocessing.sizes

    def distance(size: tuple[int, int]) -> float:
        return abs(math.log(size[1] / size[0]) - math.log(main[1] / main[0]))

    near = [size for size in others if distance(size) <= math.log(FARTHEST)]
    return (main, *near) if preprocessing.further_sizes else (main,)


@dataclass(frozen=True)
class Share:
    """One process's share of a step's batch.

    Attributes:
        image_count: Images in the whole batch, of all processes, without spoilt copies.
        rows: Positions of each part's images among these.
        parts: Parts that are computed one after the other; none if there are fewer images than
            processes.
    """

    image_count: int
    rows: tuple[slice, ...]
    parts: tuple[Batch, ...]


class TrainingLoader:
    """The batches of an epoch, from any of them on; they are the same at every call.

    Processes that train together each load their share of every batch.

    Attributes:
        workers: Loader processes of this process: `data.workers`, but all processes of the run on
            this machine together have no more than there are cores.
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
            follows_size=bool(data.further_sizes),
        )
        self._sizes = training_sizes(preprocessing)
        copies = {s.name: s.copies for s in data.sets}
        copies |= {photos.name: photos.copies for photos in data.photos}
        datasets = [*sets.saliency, *sets.rated, *sets.photos]
        self._dataset = TrainingDataset(
            datasets,
            augmentation,
            train.seed,
            copies=[copies[dataset.name] for dataset in datasets],
            distortions=data.distortions,
        )
        collated = partial(
            collate,
            mean=preprocessing.mean,
            std=preprocessing.std,
            priors_of_sets=config.priors_of_sets(),
        )
        self._reader = _Reader(self._dataset, collated)
        self._sampler = MixedBatchSampler(
            [len(dataset) for dataset in sets.saliency],
            [len(dataset) for dataset in sets.rated],
            train.saliency_per_batch if config.model.saliency else 0,
            train.rated_per_batch if uses_rated_images(config) else 0,
            train.seed,
            [len(dataset) for dataset in sets.photos],
            train.photos_per_batch,
        )
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun says so
        self.workers = min(data.workers, max(1, count_cores() // processes))
        self._seed = train.seed
        self._world = world or World()
        self._parts = train.accumulate

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return len(self._sampler)

    def shares(self, epoch: int, first_step: int = 0) -> Iterator[Share]:
        """Yield this process's share of each batch of `epoch`, without the first `first_step`."""
        counts = [len(batch) for batch in self._batches(epoch)[first_step:]]
        parts = self.epoch(epoch, first_step)
        for count in counts:
            rows = self._rows(count)
            yield Share(count, tuple(rows), tuple(next(parts) for _ in rows))

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the parts of `shares` one after the other; a single process gets whole batches.

        Raises:
            DatasetError: A label, a whole shard or all images of a set cannot be read.
        """
        self._dataset.set_epoch(epoch)
        loader: DataLoader[list[Sample]] = DataLoader(
            self._reader,
            batch_sampler=[
                batch[rows]
                for batch in self._batches(epoch)[first_step:]
                for rows in self._rows(len(batch))
            ],
            num_workers=self.workers,
            collate_fn=self._reader.to_batch,
            worker_init_fn=start_loader,
            pin_memory=torch.cuda.is_available(),
            # Own random numbers: drawing from torch's would make a resumed run differ.
            generator=torch.Generator().manual_seed(self._seed + epoch),
        )
        for part in loader:
            if isinstance(part, SaliencyError):
                raise part
            yield part

    def _batches(self, epoch: int) -> list[list[Draw]]:
        self._sampler.set_epoch(epoch)
        main, *others = self._sizes
        rng = np.random.default_rng((self._seed, epoch, 3))  # 0 to 2 order the images
        sizes = [
            others[rng.integers(len(others))] if others and rng.random() < OTHER_SIZES else main
            for _ in range(len(self._sampler))
        ]
        return [
            [Draw(index, size) for index in batch]
            for batch, size in zip(self._sampler, sizes, strict=True)
        ]

    def _rows(self, count: int) -> list[slice]:
        return share_rows(count, self._world.rank, self._world.size, self._parts)
