"""The values that travel between modules: Sample -> Batch -> Output, and Prediction.

Letters in shapes: B batch, H W pixels of a photo, h w pixels of the network, K score bins,
N fixations, A attributes. Sizes are always `(height, width)`; `xs`, `ys` count pixels from the
top-left corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.attributes import AttributeEstimate
from saliency.densities import resize_density
from saliency.sizes import fit_within

if TYPE_CHECKING:  # it takes seconds to import, and predicting does not need it
    import torch
    from torch import Tensor

SCORE_BINS = 10
"""K: the bins of a score distribution, AVA's votes 1..10."""

SCORES = np.arange(1, SCORE_BINS + 1, dtype=np.float64)
"""(K,) score of each bin."""

LOWEST_LOG_VARIANCE, TOP_LOG_VARIANCE = -8.0, 4.0
"""Bounds of the logarithm of a stated squared error: deviations of .018 and 7.4, of points of score
or of an attribute's scale 0..1."""


class Fixations(NamedTuple):
    """Where people looked in one image, all viewers together.

    Attributes:
        xs: (N,) float32 pixels from the left edge, 0 <= x < W.
        ys: (N,) float32 pixels from the top edge, 0 <= y < H.
    """

    xs: NDArray[np.float32]
    ys: NDArray[np.float32]


class Spoiling(NamedTuple):
    """How a copy of a photo was spoilt, and how much lower it should score.

    Attributes:
        kind: Name of the distortion.
        severity: 0..1.
        margin: Smallest number of points of 1..10 by which the copy should score lower; 0 if
            people hardly notice, so that it should score the same.
    """

    kind: str
    severity: float
    margin: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with the labels it has; a label that is absent is None.

    Attributes:
        image: (H, W, 3) uint8, upright RGB.
        dataset: Name of the set it comes from, which selects per-dataset parameters.
        image_id: File name, unique within the set.
        fixations: Points where viewers looked, in this image's pixels.
        density: (H, W) float32, >= 0, sums to 1: the ground-truth density.
        score_distribution: (K,) float32, sums to 1: the raters' votes on 1..10.
        score_is_taught: Whether a teacher network, and no rater, gave the score distribution.
        attributes: A labels, each from `Attribute.to_label`, nan if unknown; empty if none is.
        spoiling: How this copy of a photo was spoilt; None for an unspoilt photo.
    """

    image: NDArray[np.uint8]
    dataset: str
    image_id: str
    fixations: Fixations | None = None
    density: NDArray[np.float32] | None = None
    score_distribution: NDArray[np.float32] | None = None
    score_is_taught: bool = False
    attributes: tuple[float, ...] = ()
    spoiling: Spoiling | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Several samples as tensors; rows without a label hold zeros under a False mask.

    Attributes:
        images: (B, 3, h, w) float32, normalised for the encoder.
        dataset_index: (B,) int64 into the network's per-dataset parameters, 0 = neutral.
        density: (B, h, w) float32, each labelled row sums to 1.
        has_saliency: (B,) bool.
        score_distribution: (B, K) float32, each labelled row sums to 1.
        has_rating: (B,) bool.
        attributes: (B, A) float32, nan where unknown.
        photo: (B,) int64, which photo of the batch a row shows, counted from 0: a photo and its
            spoilt copies have the same.
        distortion: (B,) int64, number of the kind of distortion of a copy; -1 for unspoilt photos.
        margin: (B,) float32 points by which a copy should score lower than the photo; 0 for photos.
    """

    images: Tensor
    dataset_index: Tensor
    density: Tensor
    has_saliency: Tensor
    score_distribution: Tensor
    has_rating: Tensor
    attributes: Tensor
    photo: Tensor
    distortion: Tensor
    margin: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`, images in channels-last memory order."""
        from torch import channels_last

        moved = {
            field.name: getattr(self, field.name).to(device, non_blocking=True)
            for field in fields(self)
        }
        moved["images"] = moved["images"].contiguous(memory_format=channels_last)
        return Batch(**moved)


class Output(NamedTuple):
    """The network's output; values of a head that the network lacks are None.

    Attributes:
        log_density: (B, h, w) natural logarithm of a density; exp sums to 1 over an image.
        score_logits: (B, K); softmax gives the score distribution.
        auxiliary_log_densities: (B, h, w) each, from shallower decoder depths, training only.
        aesthetic_features: (B, F) standardised features that the scores are read from.
        features: (B, C, h', w') each, copies of the trained encoder stages that only the heads
            read, so that gradients at them do not include the encoder; training only.
        attributes: A outputs, (B,) of a scale and (B, classes) logits of classes.
        score_log_variance: (B,) logarithm of the expected squared error of the mean score, in
            points; None unless the network states its errors.
        attribute_log_variances: The same for A attributes, on scales 0..1, None for classes; empty
            unless the network states its errors.
    """

    log_density: Tensor | None = None
    score_logits: Tensor | None = None
    auxiliary_log_densities: tuple[Tensor, ...] = ()
    aesthetic_features: Tensor | None = None
    features: tuple[Tensor, ...] = ()
    attributes: tuple[Tensor, ...] = ()
    score_log_variance: Tensor | None = None
    attribute_log_variances: tuple[Tensor | None, ...] = ()


@dataclass(frozen=True)
class Uncertainty:
    """How far a prediction can be trusted; values that were not estimated are None.

    Attributes:
        score_error_std: Expected error of the score, in points, as the network states it
            (`model.heteroscedastic`), since raters differ and some photos are hard.
        score_model_std: Standard deviation of the score, in points, over networks that could have
            been learned as well: members of an ensemble, or samples of dropout.
        map_disagreement: Disagreement of an ensemble's maps, 0 (the same) to 1 (nothing in common).
    """

    score_error_std: float | None = None
    score_model_std: float | None = None
    map_disagreement: float | None = None

    @property
    def score_total_std(self) -> float | None:
        """Expected error of the score for both reasons, in points; None if neither is known."""
        known = [s for s in (self.score_error_std, self.score_model_std) if s is not None]
        return math.hypot(*known) if known else None


@dataclass(frozen=True)
class Prediction:
    """The prediction for one photo. Values of a head that the network lacks are None.

    Attributes:
        image_size: (height, width) of the upright photo.
        network_density: (h, w) float32, >= 0, sums to 1: where people look, at the network's
            resolution; `density` is enlarged from it.
        score: Mean aesthetic score, 1..10.
        score_std: Standard deviation of the score distribution: how much raters would disagree.
        score_distribution: (K,) float32, sums to 1: the expected shares of the votes 1..10.
        attributes: Estimates of further attributes, in the network's order.
        uncertainty: How far the prediction can be trusted; None if it was not estimated.
        notes: Faults of the file, which was read in spite of them, each a sentence about the photo:
            "its colour profile is ignored: it is damaged".
    """

    image_size: tuple[int, int]
    network_density: NDArray[np.float32] | None
    score: float | None
    score_std: float | None
    score_distribution: NDArray[np.float32] | None
    attributes: tuple[AttributeEstimate, ...] = ()
    uncertainty: Uncertainty | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def density(self) -> NDArray[np.float32] | None:
        """(H, W) float32, >= 0, sums to 1, the photo's own size: where people look.

        It is computed when it is first used: for a photo of 12 megapixels it is as much work as
        the network. If fewer pixels are enough, `density_within` is cheaper.
        """
        known = self.network_density
        return None if known is None else resize_density(known, self.image_size)

    def density_within(self, max_side_px: int | None) -> NDArray[np.float32] | None:
        """Return the density with a longer side of at most `max_side_px` and the photo's shape.

        Args:
            max_side_px: Largest side; with None, and for a smaller photo, the photo's own size.

        Returns:
            (h, w) float32, >= 0, sums to 1.
        """
        size = fit_within(self.image_size, max_side_px)
        if size == self.image_size or self.network_density is None:
            return self.density
        return resize_density(self.network_density, size)
