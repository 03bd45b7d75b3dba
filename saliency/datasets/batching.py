"""Batches of samples from several data sets, with labels of several kinds."""

import logging
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from saliency.datasets.base import LabelledDataset
from saliency.datasets.spoiling import check_distortions, spoil
from saliency.errors import ConfigError, DatasetError, ImageError
from saliency.types import SCORE_BINS, Batch, Sample

logger = logging.getLogger(__name__)


class Augments(Protocol):
    """A random change of a sample that depends on a seed alone, such as `Augmentation`."""

    def __call__(
        self,
        sample: Sample,
        seed: int,
        *,
        as_a_whole: bool = False,
        size: tuple[int, int] | None = None,
    ) -> Sample:
        """Return `sample` changed, of (height, width) `size` if one is given."""


class Draw(NamedTuple):
    """A photo of a batch.

    Attributes:
        position: Its place in `TrainingDataset`.
        size: (height, width) of the batch; None: that of the augmentation.
    """

    position: int
    size: tuple[int, int] | None = None


class TrainingDataset(Dataset[list[Sample]]):
    """Several data sets in a row; each photo is augmented and followed by its spoilt copies.

    How photo i of an epoch is augmented depends on (seed, epoch, i) alone, so neither the number
    of worker processes nor resuming a run changes it.
    """

    def __init__(
        self,
        datasets: Sequence[LabelledDataset],
        augmentation: Augments,
        seed: int,
        copies: Sequence[int] = (),
        distortions: Sequence[str] = (),
    ) -> None:
        """Concatenate `datasets`.

        Args:
            datasets: Their order gives the indices that `MixedBatchSampler` expects: those for
                saliency first, then rated ones, then photos without labels.
            augmentation: `Augmentation`, or another function of a sample and a seed.
            seed: Seed of the whole run.
            copies: Number of spoilt copies of each photo, for each data set; () for no copies.
            distortions: Names of the distortions that spoil copies; () for all.

        Raises:
            ConfigError: A distortion is unknown.
        """
        self._copies = tuple(copies) or (0,) * len(datasets)
        self._distortions = check_distortions(distortions)
        self._datasets = tuple(datasets)
        self._starts = tuple(accumulate(map(len, self._datasets), initial=0))
        self._augmentation = augmentation
        self._seed = seed
        # In shared memory: persistent workers hold copies of this object made in epoch 0.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]
        self._damaged: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return self._starts[-1]

    def set_epoch(self, epoch: int) -> None:
        """Choose the random changes of an epoch, counted from 0, in all workers."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> list[Sample]:
        """Return `read` of a photo, of the size of the augmentation."""
        return self.read(Draw(index))

    def read(self, draw: Draw) -> list[Sample]:
        """Read a photo and augment it and its spoilt copies alike.

        A damaged image is logged once and replaced by the next one of the same data set, so that
        a batch keeps its mixture of labels.

        Raises:
            DatasetError: If no image of the data set can be read.
        """
        index, size = draw
        entropy = [self._seed, int(self._epoch), index]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        number = bisect_right(self._starts, index) - 1
        photo, count = self._read(number, index - self._starts[number]), self._copies[number]
        if not count:
            return [self._augmentation(photo, seed, size=size)]
        rows = [photo, *spoil(photo, count, self._distortions, seed)]
        # With the photo's density, by which crops are accepted: else a copy could get another one.
        seen = [replace(row, density=photo.density) for row in rows]
        first, *copies = (self._augmentation(row, seed, as_a_whole=True, size=size) for row in seen)
        return [first, *(replace(copy, density=None) for copy in copies)]

    def _read(self, number: int, offset: int) -> Sample:
        dataset = self._datasets[number]
        for step in range(len(dataset)):
            position = (offset + step) % len(dataset)
            try:
                return dataset[position]
            except ImageError as error:
                damaged = (dataset.name, dataset.ids[position])
                if damaged not in self._damaged:  # once in each process
                    self._damaged.add(damaged)
                    logger.warning("%s: passed over %s: %s", *damaged, error)
        raise DatasetError(f"Expected readable images in {dataset.name}. Found none.")


class MixedBatchSampler(Sampler[list[int]]):
    """Batches of indices that mix images labelled for saliency, rated images and unlabelled photos.

    Indices count through the saliency sets, the rated sets and the photos without labels. An epoch
    shows every saliency image once; the other kinds are repeated beside them, each pass in a new
    order and continued across epochs, so that all images of a kind come up equally often. Without
    saliency sets, an epoch shows every rated image once; without both, every photo. Batches depend
    on (seed, epoch) alone; the last of an epoch may be smaller.
    """

    def __init__(
        self,
        saliency_sizes: Sequence[int],
        rated_sizes: Sequence[int],
        saliency_per_batch: int = 6,
        rated_per_batch: int = 2,
        seed: int = 0,
        photo_sizes: Sequence[int] = (),
        photos_per_batch: int = 0,
    ) -> None:
        """Plan the batches of epoch 0.

        Args:
            saliency_sizes: Lengths of the sets labelled for saliency.
            rated_sizes: Lengths of the rated sets, which come after them.
            saliency_per_batch: Images for saliency in a batch; 0 leaves them out.
            rated_per_batch: Rated images in a batch; 0 leaves them out.
            seed: Seed of the whole run.
            photo_sizes: Lengths of the sets without labels, which come last.
            photos_per_batch: Photos without labels in a batch; 0 leaves them out.

        Raises:
            ConfigError: If nothing is left to sample, or a number is negative.
        """
        wanted = (saliency_per_batch, rated_per_batch, photos_per_batch)
        if min(wanted) < 0:
            raise ConfigError(
                f"The images in a batch should be 0 or more of each kind. Found "
                f"{saliency_per_batch} for "
                f"saliency, {rated_per_batch} rated and {photos_per_batch} without labels."
            )
        self._streams: list[_Stream] = []
        start = 0
        for kind, (sizes, per_batch) in enumerate(
            zip((saliency_sizes, rated_sizes, photo_sizes), wanted, strict=True)
        ):
            if sum(sizes) and per_batch:
                self._streams.append(_Stream(seed, kind, start, sum(sizes), per_batch))
            start += sum(sizes)
        if not self._streams:
            raise ConfigError(
                "There should be images of at least one kind that batches contain. Found "
                f"{sum(saliency_sizes)} images for saliency, {saliency_per_batch} in a batch, "
                f"{sum(rated_sizes)} rated ones, {rated_per_batch} in a batch, and "
                f"{sum(photo_sizes)} without labels, {photos_per_batch} in a batch."
            )
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the batches of an epoch, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        first = self._streams[0]
        return -(-first.images // first.per_batch)

    def __iter__(self) -> Iterator[list[int]]:
        first, *beside = self._streams
        order = first.lap(self._epoch)
        endless = [
            stream.from_position(self._epoch * len(self) * stream.per_batch) for stream in beside
        ]
        for batch in range(len(self)):
            start = batch * first.per_batch
            chosen = order[start : start + first.per_batch].tolist()
            for stream, indices in zip(beside, endless, strict=True):
                chosen += [next(indices) for _ in range(stream.per_batch)]
            yield chosen


class _Stream(NamedTuple):
    """The images of one kind: their indices, and how many of them a batch contains."""

    seed: int
    kind: int  # part of the seed, or sets of equal length would always pair up alike
    start: int
    images: int
    per_batch: int

    def lap(self, number: int) -> NDArray[np.int64]:
        """Return all indices in the order of one pass."""
        drawn = np.random.default_rng([self.seed, number, self.kind]).permutation(self.images)
        return self.start + drawn

    def from_position(self, position: int) -> Iterator[int]:
        """Yield the endless sequence of passes, from `position` on."""
        number, offset = divmod(position, self.images)
        while True:
            yield from self.lap(number)[offset:].tolist()
            number, offset = number + 1, 0


def share_rows(count: int, rank: int, size: int, parts: int) -> list[slice]:
    """Return which images of a batch one process computes, for each of its parts.

    Every image is in exactly one part of one process. Slices have steps, so that each
    contains a similar mixture of the images for saliency, which come first, and the rated ones.

    Args:
        count: Images in the batch.
        rank: The process, counted from 0.
        size: Number of processes.
        parts: Number of parts of each process; empty ones are left out.
    """
    starts = range(rank, min(count, size * parts), size)
    return [slice(start, None, size * parts) for start in starts]


def collate(
    samples: Sequence[Sample],
    mean: Sequence[float],
    std: Sequence[float],
    priors_of_sets: Mapping[str, int],
) -> Batch:
    """Stack samples of one size into a batch.

    Args:
        samples: B samples with images of equal size; spoilt copies follow their photo.
        mean: Mean that the encoder's preprocessing subtracts, per channel, for values 0..1.
        std: Standard deviation that it divides by, likewise.
        priors_of_sets: Name of a set -> index of its priors in the network, counted from 1; that
            of any other set is 0.

    Returns:
        The batch; labels that a sample lacks are zeros under a False mask, attributes nan.
    """
    pixels = torch.from_numpy(np.stack([sample.image for sample in samples]))  # (B, h, w, 3)
    images = pixels.float().div_(255).sub_(torch.tensor(mean)).div_(torch.tensor(std))
    height, width = samples[0].image.shape[:2]
    density = np.zeros((len(samples), height, width), np.float32)
    score_distribution = np.zeros((len(samples), SCORE_BINS), np.float32)
    count = max(len(sample.attributes) for sample in samples)
    attributes = np.full((len(samples), count), np.nan, np.float32)
    kinds = sorted({sample.spoiling.kind for sample in samples if sample.spoiling})
    for row, sample in enumerate(samples):
        if sample.attributes:
            attributes[row] = sample.attributes
        if sample.density is not None:
            density[row] = sample.density
        if sample.score_distribution is not None:
            score_distribution[row] = sample.score_distribution
    return Batch(
        images=images.permute(0, 3, 1, 2),  # (B, 3, h, w), channels last in memory
        dataset_index=torch.tensor([priors_of_sets.get(sample.dataset, 0) for sample in samples]),
        density=torch.from_numpy(density),
        has_saliency=torch.tensor([sample.density is not None for sample in samples]),
        score_distribution=torch.from_numpy(score_distribution),
        has_rating=torch.tensor([sample.score_distribution is not None for sample in samples]),
        attributes=torch.from_numpy(attributes),
        # Copies follow their photo.
        photo=torch.tensor([sample.spoiling is None for sample in samples]).cumsum(0) - 1,
        distortion=torch.tensor(
            [kinds.index(sample.spoiling.kind) if sample.spoiling else -1 for sample in samples]
        ),
        margin=torch.tensor(
            [sample.spoiling.margin if sample.spoiling else 0.0 for sample in samples]
        ),
    )
