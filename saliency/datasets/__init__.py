"""Labelled data sets, one adapter for each layout, and how they become batches.

`Augmentation` is not among the names here: `saliency.datasets.augmentation` imports albumentations,
which takes seconds and belongs to training alone.
"""

from saliency.datasets.ava import AvaDataset
from saliency.datasets.base import LabelledDataset, Subset, select
from saliency.datasets.batching import (
    Draw,
    MixedBatchSampler,
    TrainingDataset,
    collate,
    share_rows,
)
from saliency.datasets.drawn import DrawnDataset
from saliency.datasets.osie import OsieDataset
from saliency.datasets.packed import PackedDataset, is_packed
from saliency.datasets.photos import PhotosDataset
from saliency.datasets.ratings import RatingsDataset
from saliency.datasets.salicon import SaliconDataset
from saliency.datasets.score_bins import score_to_ten_bins, to_ten_bins
from saliency.datasets.splits import Split, SplitRow, pick_folds, pick_part, read_split

__all__ = [
    "AvaDataset",
    "Draw",
    "DrawnDataset",
    "LabelledDataset",
    "MixedBatchSampler",
    "OsieDataset",
    "PackedDataset",
    "PhotosDataset",
    "RatingsDataset",
    "SaliconDataset",
    "Split",
    "SplitRow",
    "Subset",
    "TrainingDataset",
    "collate",
    "is_packed",
    "pick_folds",
    "pick_part",
    "read_split",
    "score_to_ten_bins",
    "select",
    "share_rows",
    "to_ten_bins",
]
