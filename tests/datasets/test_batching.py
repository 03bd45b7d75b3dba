from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from saliency.datasets import DrawnDataset, MixedBatchSampler, TrainingDataset, collate
from saliency.datasets.augmentation import Augmentation
from saliency.errors import ConfigError, DatasetError, ImageDecodeError
from saliency.types import Batch, Sample


def as_they_are(sample: Sample, seed: int, *, as_a_whole: bool = False, size=None) -> Sample:
    return sample


def with_seed(sample: Sample, seed: int, *, as_a_whole: bool = False, size=None) -> Sample:
    return replace(sample, image_id=f"{sample.image_id} {seed}")


class Damaged(DrawnDataset):
    """A set in which some images cannot be read."""

    def __init__(self, count: int, damaged: set[int]) -> None:
        super().__init__(count, seed=0, size=(8, 8))
        self.damaged = damaged

    def __getitem__(self, index: int) -> Sample:
        if index in self.damaged:
            raise ImageDecodeError(f"{self.ids[index]} is truncated")
        return super().__getitem__(index)


def batches(sampler: MixedBatchSampler, epoch: int) -> list[list[int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_batch_mixes_both_kinds():
    sampler = MixedBatchSampler([8, 4], [5], saliency_per_batch=3, rated_per_batch=2)
    for batch in sampler:
        assert sum(index < 12 for index in batch) == 3
        assert sum(12 <= index < 17 for index in batch) == 2


def test_every_saliency_image_comes_once_an_epoch():
    sampler = MixedBatchSampler([8, 5], [5], saliency_per_batch=3)
    seen = [index for batch in sampler for index in batch if index < 13]
    assert sorted(seen) == list(range(13))  # the last batch is smaller
    assert len(list(sampler)) == len(sampler) == 5


def test_rated_images_come_equally_often_across_epochs():
    sampler = MixedBatchSampler([10], [7], saliency_per_batch=5, rated_per_batch=2)
    epochs = [batches(sampler, epoch) for epoch in range(7)]  # 28 draws: four laps
    counts = Counter(i for epoch in epochs for batch in epoch for i in batch if i >= 10)
    assert counts == dict.fromkeys(range(10, 17), 4)


def test_each_lap_of_rated_images_has_its_own_order():
    sampler = MixedBatchSampler([40], [20], saliency_per_batch=1, rated_per_batch=1)
    rated = [batch[1] for batch in sampler]
    assert sorted(rated[:20]) == sorted(rated[20:])
    assert rated[:20] != rated[20:]


def test_a_resumed_run_repeats_the_batches():
    options = {"saliency_sizes": [11], "rated_sizes": [5], "seed": 3}
    uninterrupted = MixedBatchSampler(**options)
    epochs = [batches(uninterrupted, epoch) for epoch in range(4)]
    assert batches(MixedBatchSampler(**options), 3) == epochs[3]
    assert epochs[0] != epochs[1]


def test_another_seed_is_another_order():
    assert list(MixedBatchSampler([50], [9], seed=0)) != list(MixedBatchSampler([50], [9], seed=1))


def test_both_kinds_are_shuffled_independently():
    (batch,) = MixedBatchSampler([12], [12], saliency_per_batch=12, rated_per_batch=12)
    assert [index + 12 for index in batch[:12]] != batch[12:]


def test_saliency_alone():
    seen = [index for batch in MixedBatchSampler([7], []) for index in batch]
    assert sorted(seen) == list(range(7))


def test_ratings_alone_come_once_an_epoch():
    sampler = MixedBatchSampler([], [7], rated_per_batch=2)
    assert sorted(index for batch in sampler for index in batch) == list(range(7))
    assert [len(batch) for batch in sampler] == [2, 2, 2, 1]


def test_a_kind_can_be_left_out():
    assert all(index < 5 for b in MixedBatchSampler([5], [5], rated_per_batch=0) for index in b)
    only_rated = MixedBatchSampler([5], [4], saliency_per_batch=0)
    assert sorted(index for batch in only_rated for index in batch) == [5, 6, 7, 8]


@pytest.mark.parametrize(
    "arguments", [([], []), ([0], [0]), ([5], [], 0, 2), ([], [5], 6, 0), ([5], [5], -1, 2)]
)
def test_nothing_to_sample_is_refused(arguments):
    with pytest.raises(ConfigError, match="Found"):
        MixedBatchSampler(*arguments)


def test_sets_follow_one_another():
    first, second = DrawnDataset(3, 0, (8, 8), "a"), DrawnDataset(2, 1, (8, 8), "b")
    dataset = TrainingDataset([first, second], as_they_are, seed=0)
    assert len(dataset) == 5
    assert [(dataset[i][0].dataset, dataset[i][0].image_id) for i in (2, 3, 4)] == [
        ("a", first.ids[2]),
        ("b", second.ids[0]),
        ("b", second.ids[1]),
    ]


def test_seeds_differ_by_run_epoch_and_image_and_repeat():
    def seeds(run: int, epoch: int) -> list[str]:
        dataset = TrainingDataset([DrawnDataset(3, 0, (8, 8))], with_seed, seed=run)
        dataset.set_epoch(epoch)
        return [dataset[index][0].image_id.split()[1] for index in range(3)]

    assert len({*seeds(0, 0), *seeds(0, 1), *seeds(1, 0)}) == 9
    assert seeds(0, 1) == seeds(0, 1)


def test_a_damaged_image_gives_way_to_the_next_of_its_set(caplog):
    first, second = Damaged(3, damaged={2}), DrawnDataset(2, 1, (8, 8), "b")
    dataset = TrainingDataset([first, second], as_they_are, seed=0)
    assert dataset[2][0].image_id == first.ids[0]  # round the end, not into the next set
    assert dataset[2][0].image_id == first.ids[0]
    assert len(caplog.records) == 1  # named once
    assert first.ids[2] in caplog.text


def test_spoilt_copies_follow_their_photo():
    dataset = TrainingDataset([DrawnDataset(2, 0, (16, 16))], as_they_are, seed=0, copies=[3])
    photo, *copies = dataset[1]
    assert photo.spoiling is None
    assert [copy.spoiling is not None for copy in copies] == [True] * 3
    batch = collate([*dataset[0], *dataset[1]], (0.5,) * 3, (0.5,) * 3, {})
    assert batch.photo.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (batch.distortion < 0).tolist() == [True, False, False, False] * 2
    assert batch.has_saliency.tolist() == [True, False, False, False] * 2
    assert batch.margin[4:].tolist() == pytest.approx(
        [0, *(copy.spoiling.margin for copy in copies)]
    )


def test_a_photo_and_its_copies_are_cropped_and_mirrored_alike():
    augmentation = Augmentation((32, 48), rated_crop_scale=(0.3, 0.5))
    dataset = TrainingDataset(
        [DrawnDataset(1, 0, (64, 96))], augmentation, seed=3, copies=[2], distortions=["noise"]
    )
    for epoch in range(4):
        dataset.set_epoch(epoch)
        photo, *copies = (row.image.astype(float) for row in dataset[0])
        for copy in copies:  # but for the noise, which has no place
            assert np.corrcoef(photo.ravel(), copy.ravel())[0, 1] > 0.8


class Looked(DrawnDataset):
    """Drawn images where people looked at one corner alone."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        density = np.zeros(sample.image.shape[:2], np.float32)
        density[0, 0] = 1
        return replace(sample, density=density)


def test_so_they_are_where_a_crop_would_lose_what_people_looked_at():
    augmentation = Augmentation((48, 48), follows_size=True, flip_probability=0)
    dataset = TrainingDataset(
        [Looked(4, 0, (48, 144))], augmentation, seed=0, copies=[1], distortions=["low_contrast"]
    )
    for index in range(4):
        photo, copy = dataset[index]
        assert copy.density is None
        found = np.corrcoef(*(row.image.astype(float).ravel() for row in (photo, copy)))
        assert found[0, 1] > 0.99


def test_copies_are_the_same_again_and_others_in_another_epoch():
    dataset = TrainingDataset([DrawnDataset(1, 0, (16, 16))], as_they_are, seed=0, copies=[2])
    first, again = dataset[0], dataset[0]
    np.testing.assert_array_equal(first[1].image, again[1].image)
    dataset.set_epoch(1)
    assert dataset[0][1].spoiling != first[1].spoiling


def test_photos_without_labels_come_beside_the_others():
    sampler = MixedBatchSampler([4], [3], 2, 1, photo_sizes=[5, 2], photos_per_batch=3)
    for batch in sampler:
        assert [sum(low <= i < high for i in batch) for low, high in ((0, 4), (4, 7), (7, 14))] == [
            2,
            1,
            3,
        ]


def test_photos_without_labels_leave_the_others_batches_alone():
    plain = MixedBatchSampler([4], [3], 2, 1, seed=5)
    with_photos = MixedBatchSampler([4], [3], 2, 1, 5, [5], 2)
    assert [batch[:3] for batch in with_photos] == list(plain)


def test_a_set_without_a_readable_image_is_an_error():
    with pytest.raises(DatasetError, match="readable images in drawn"):
        TrainingDataset([Damaged(2, damaged={0, 1})], as_they_are, seed=0)[0]


@pytest.fixture
def samples() -> list[Sample]:
    both = DrawnDataset(3, 0, (8, 12), "osie", rated=True)
    return [
        replace(both[0], score_distribution=None),
        replace(both[1], density=None, fixations=None, dataset="oasis"),
        replace(both[2], density=None, score_distribution=None, dataset="elsewhere"),
    ]


def test_masks_say_which_labels_are_there(samples):
    batch = collate(samples, (0.5,) * 3, (0.5,) * 3, {"osie": 1, "oasis": 2})
    assert batch.has_saliency.tolist() == [True, False, False]
    assert batch.has_rating.tolist() == [False, True, False]
    assert batch.density.sum((1, 2)).tolist() == pytest.approx([1, 0, 0])
    assert batch.score_distribution.sum(1).tolist() == pytest.approx([0, 1, 0])


def test_dataset_index_counts_from_one_and_is_neutral_for_others(samples):
    batch = collate(samples, (0.5,) * 3, (0.5,) * 3, {"oasis": 1, "osie": 2})
    assert batch.dataset_index.tolist() == [2, 1, 0]
    assert batch.dataset_index.dtype == torch.int64


def test_images_are_normalised_by_channel(samples):
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images = collate(samples, mean, std, {}).images
    assert images.shape == (3, 3, 8, 12)
    expected = (samples[1].image[3, 5] / 255 - mean) / std
    np.testing.assert_allclose(images[1, :, 3, 5], expected, rtol=1e-5, atol=1e-6)


def test_a_read_only_image_is_no_trouble(samples):
    samples[0].image.flags.writeable = False  # torch warns of arrays that it cannot write to
    assert len(collate(samples, (0.5,) * 3, (0.5,) * 3, {}).images) == 3


def test_worker_processes_change_nothing():
    dataset = TrainingDataset([DrawnDataset(6, 0, (24, 32))], Augmentation((16, 16)), seed=0)
    sampler = MixedBatchSampler([6], [], saliency_per_batch=2)

    def to_batch(photos: list[list[Sample]]) -> Batch:
        return collate(
            [row for rows in photos for row in rows], (0.5,) * 3, (0.5,) * 3, {"drawn": 1}
        )

    def images_of_two_epochs(workers: int) -> torch.Tensor:
        loader = DataLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=to_batch,
            num_workers=workers,
            persistent_workers=workers > 0,  # they must hear of the second epoch
        )
        images = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            dataset.set_epoch(epoch)
            images += [batch.images for batch in loader]
        return torch.cat(images)

    assert torch.equal(images_of_two_epochs(0), images_of_two_epochs(1))
