"""Samples of several data sets -> batches that hold labels of both kinds."""

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from saliency.datasets.base import LabelledDataset
from saliency.errors import ConfigError, DatasetError, ImageError
from saliency.types import SCORE_BINS, Batch, Sample

logger = logging.getLogger(__name__)


class TrainingDataset(Dataset[Sample]):
    """Several data sets one after the other, every sample augmented.

    What sample i of an epoch looks like depends on (seed, epoch, i) alone, so neither the number
    of worker processes nor a resumed run changes it.
    """

    def __init__(
        self,
        datasets: Sequence[LabelledDataset],
        augmentation: Callable[[Sample, int], Sample],
        seed: int,
    ) -> None:
        """Concatenate `datasets`.

        Args:
            datasets: Their order gives the indices that `MixedBatchSampler` expects: those for
                saliency first.
            augmentation: `Augmentation`, or another function of a sample and a seed.
            seed: Of the whole run.
        """
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

    def __getitem__(self, index: int) -> Sample:
        """Read and augment one sample; a damaged image is logged once and gives way to the next.

        The next is of the same data set, so that a batch keeps its mixture of labels.

        Raises:
            DatasetError: If no image of the data set can be read.
        """
        entropy = [self._seed, int(self._epoch), index]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        return self._augmentation(self._read(index), seed)

    def _read(self, index: int) -> Sample:
        number = bisect_right(self._starts, index) - 1
        dataset, offset = self._datasets[number], index - self._starts[number]
        for step in range(len(dataset)):
            position = (offset + step) % len(dataset)
            try:
                return dataset[position]
            except ImageError as error:
                damaged = (dataset.name, dataset.ids[position])
                if damaged not in self._damaged:  # once a process
                    self._damaged.add(damaged)
                    logger.warning("%s: passed over %s: %s", *damaged, error)
        raise DatasetError(f"Expected readable images in {dataset.name}. Found none.")


class MixedBatchSampler(Sampler[list[int]]):
    """Batches of indices that mix images labelled for saliency with rated ones.

    Indices count through the saliency sets and then through the rated sets. An epoch shows every
    saliency image once; rated images go round and round beside them, each lap in a new order and
    across the borders of epochs, so that all come up equally often. Without saliency sets, an
    epoch shows every rated image once. Batches depend on (seed, epoch) alone; the last of an
    epoch may be smaller.
    """

    def __init__(
        self,
        saliency_sizes: Sequence[int],
        rated_sizes: Sequence[int],
        saliency_per_batch: int = 6,
        rated_per_batch: int = 2,
        seed: int = 0,
    ) -> None:
        """Plan the batches of epoch 0.

        Args:
            saliency_sizes: Lengths of the sets labelled for saliency.
            rated_sizes: Lengths of the rated sets, which come after them.
            saliency_per_batch: Images for saliency in a batch; 0 leaves them out.
            rated_per_batch: Rated images in a batch; 0 leaves them out.
            seed: Of the whole run.

        Raises:
            ConfigError: If nothing is left to sample, or a number is negative.
        """
        self._saliency_count = sum(saliency_sizes) if saliency_per_batch else 0
        self._rated_count = sum(rated_sizes) if rated_per_batch else 0
        self._rated_start = sum(saliency_sizes)
        if min(saliency_per_batch, rated_per_batch) < 0:
            raise ConfigError(
                "Images of a kind in a batch should be 0 or more. "
                f"Found {saliency_per_batch} for saliency and {rated_per_batch} rated."
            )
        if not self._saliency_count + self._rated_count:
            raise ConfigError(
                "There should be images of a kind that batches hold. Found "
                f"{sum(saliency_sizes)} images for saliency, {saliency_per_batch} in a batch, and "
                f"{sum(rated_sizes)} rated ones, {rated_per_batch} in a batch."
            )
        self._saliency_per_batch = saliency_per_batch
        self._rated_per_batch = rated_per_batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the batches of an epoch, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        if self._saliency_count:
            return -(-self._saliency_count // self._saliency_per_batch)
        return -(-self._rated_count // self._rated_per_batch)

    def __iter__(self) -> Iterator[list[int]]:
        if not self._saliency_count:
            order = self._rated_start + self._shuffle("rated", self._epoch, self._rated_count)
            for batch in range(len(self)):
                start = batch * self._rated_per_batch
                yield order[start : start + self._rated_per_batch].tolist()
            return
        order = self._shuffle("saliency", self._epoch, self._saliency_count)
        rated = self._rated_stream(self._epoch * len(self) * self._rated_per_batch)
        for batch in range(len(self)):
            start = batch * self._saliency_per_batch
            chosen = order[start : start + self._saliency_per_batch].tolist()
            if self._rated_count:
                chosen += [next(rated) for _ in range(self._rated_per_batch)]
            yield chosen

    def _rated_stream(self, position: int) -> Iterator[int]:
        """Yield the endless sequence of laps through the rated images, from `position` on."""
        lap, offset = divmod(position, self._rated_count) if self._rated_count else (0, 0)
        while True:
            order = self._rated_start + self._shuffle("rated", lap, self._rated_count)
            yield from order[offset:].tolist()
            lap, offset = lap + 1, 0

    def _shuffle(self, kind: str, lap: int, count: int) -> NDArray[np.int64]:
        # The kind is part of the seed, or sets of equal length would always pair up alike.
        return np.random.default_rng([self._seed, lap, kind == "rated"]).permutation(count)


def share_rows(count: int, rank: int, size: int, parts: int) -> list[slice]:
    """Return which images of a batch one process computes, in parts one after the other.

    Every image is in exactly one part of one process. Slices with steps, so that each holds a
    like mixture of the images for saliency, which come first, and the rated ones.

    Args:
        count: Images in the batch.
        rank: The process, counted from 0.
        size: Processes.
        parts: Parts of a process; empty ones are left out.
    """
    starts = range(rank, min(count, size * parts), size)
    return [slice(start, None, size * parts) for start in starts]


def collate(
    samples: Sequence[Sample],
    mean: Sequence[float],
    std: Sequence[float],
    dataset_names: Sequence[str],
) -> Batch:
    """Stack samples of one size into a batch.

    Args:
        samples: B samples, images of equal size.
        mean: Of the encoder's preprocessing, per channel, for values 0..1.
        std: As `mean`.
        dataset_names: The sets that the network has parameters for: `dataset_index` is 1 + the
            position in this list, and 0 for any other set.

    Returns:
        The batch; labels that a sample lacks are zeros under a False mask, attributes nan.
    """
    pixels = torch.from_numpy(np.stack([sample.image for sample in samples]))  # (B, h, w, 3)
    images = pixels.float().div_(255).sub_(torch.tensor(mean)).div_(torch.tensor(std))
    index_of = {name: 1 + position for position, name in enumerate(dataset_names)}
    height, width = samples[0].image.shape[:2]
    density = np.zeros((len(samples), height, width), np.float32)
    score_distribution = np.zeros((len(samples), SCORE_BINS), np.float32)
    count = max(len(sample.attributes) for sample in samples)
    attributes = np.full((len(samples), count), np.nan, np.float32)
    for row, sample in enumerate(samples):
        if sample.attributes:
            attributes[row] = sample.attributes
        if sample.density is not None:
            density[row] = sample.density
        if sample.score_distribution is not None:
            score_distribution[row] = sample.score_distribution
    return Batch(
        images=images.permute(0, 3, 1, 2),  # (B, 3, h, w), channels last in memory
        dataset_index=torch.tensor([index_of.get(sample.dataset, 0) for sample in samples]),
        density=torch.from_numpy(density),
        has_saliency=torch.tensor([sample.density is not None for sample in samples]),
        score_distribution=torch.from_numpy(score_distribution),
        has_rating=torch.tensor([sample.score_distribution is not None for sample in samples]),
        attributes=torch.from_numpy(attributes),
    )
