"""Random crops, flips and colours that move image, density and fixations together.

The only module that imports albumentations, which takes seconds: import it where you train.
"""

import math
import os
import random
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Otherwise its import asks the network for a newer version, and warns offline.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A

from saliency.densities import normalize_density
from saliency.types import Fixations, Sample

STRETCH = 1.18
"""How much wider or narrower than its own a photo's proportions may become, at most, where crops
follow the proportions of several input sizes. Prediction chooses the nearest size: where sizes are
at most 1.39 times as wide as the next one, it stretches no photo between them by more."""

MIN_CROP_MASS = 0.3
"""A crop that keeps less of the density than this would show hardly anything: it is rejected."""


class Augmentation:
    """Turn a sample into a randomly changed one of the network's input size.

    Samples without ratings are cropped, mirrored and changed in colour. A rating is about the
    whole picture as it is: rated samples are only mirrored and resized, unless
    `rated_crop_scale` allows crops, and their colours are never changed.

    Every change of geometry stretches the crop to the size, as prediction stretches a photo. With
    one size a crop has about the photo's own proportions. With several, and a different one for
    each batch, it has about those of the size, also where the sample is rated: a square input is
    then a square part of a wide photo, not a squeezed one.
    """

    def __init__(
        self,
        size: tuple[int, int],
        crop_scale: tuple[float, float] = (0.6, 1.0),
        crop_ratio: tuple[float, float] = (0.85, 1.18),
        flip_probability: float = 0.5,
        color: bool = True,
        rated_crop_scale: tuple[float, float] | None = None,
        *,
        follows_size: bool = False,
    ) -> None:
        """Choose what is varied, and how much.

        Args:
            size: (height, width) of the result, where a call names no other.
            crop_scale: Range of a crop's area as a share of the image's; (1, 1) is no crop.
            crop_ratio: Range of a crop's width / height as a multiple of the image's.
            flip_probability: How often left and right are swapped, 0..1.
            color: Whether samples without ratings change in brightness, contrast and colour.
            rated_crop_scale: The same range for rated samples; None is no crop.
            follows_size: Whether crops have the proportions of the size instead of the photo's.
        """
        self._size = size
        self._crop = (crop_scale, crop_ratio)
        self._rated_crop = (rated_crop_scale or (1.0, 1.0), (1.0, 1.0))
        self._flip_probability = flip_probability
        self._color = color
        self._follows_size = follows_size
        self._pipelines: dict[tuple[bool, tuple[int, int]], A.Compose] = {}

    def __call__(
        self,
        sample: Sample,
        seed: int,
        *,
        as_a_whole: bool = False,
        size: tuple[int, int] | None = None,
    ) -> Sample:
        """Change `sample`; the same seed changes photos of one size in the same way.

        Args:
            sample: Any labels; density and fixations follow the image.
            seed: >= 0.
            as_a_whole: Treat a photo without ratings like a rated one, because its label is
                about the whole picture as it is.
            size: (height, width) of the result; None: that given at the start.

        Returns:
            A sample of this size. Fixations outside the crop are removed, and the density sums to
            1 again.
        """
        rated = sample.score_distribution is not None and not sample.score_is_taught
        pipeline = self._pipeline(rated or as_a_whole, size or self._size)
        # Not set_random_seed: that starts every transform from the same seed, so that a flip
        # would decide the crop. One state shared by all keeps them independent.
        pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311
        labels: dict[str, NDArray[np.float32]] = {}
        if sample.fixations is not None:
            labels["keypoints"] = np.stack(sample.fixations, axis=1)  # (N, 2)
        if sample.density is not None:
            labels["mask"] = sample.density
        changed = pipeline(image=sample.image, **labels)
        points = changed.get("keypoints")
        density = changed.get("mask")
        return replace(
            sample,
            image=changed["image"],
            fixations=None if points is None else _to_fixations(points),
            density=None if density is None else normalize_density(density),
        )

    def _pipeline(self, rated: bool, size: tuple[int, int]) -> A.Compose:
        """Return what changes samples of a kind, built when it is first needed."""
        if (rated, size) not in self._pipelines:
            crop = _CropToSize if self._follows_size else _Crop
            scale, ratio = self._rated_crop if rated else self._crop
            colors = [] if rated or not self._color else [A.ColorJitter(0.2, 0.2, 0.2, 0.03, p=0.8)]
            self._pipelines[rated, size] = A.Compose(
                [
                    crop(size, scale, ratio, cv2.INTER_LINEAR, cv2.INTER_LINEAR, "image_mask"),
                    _HorizontalFlip(p=self._flip_probability),
                    *colors,
                ],
                keypoint_params=A.KeypointParams(format="xy"),
            )
        return self._pipelines[rated, size]


class _Crop(A.RandomResizedCrop):  # type: ignore[misc]  # untyped library
    """A crop around the image's own proportions that keeps a fair share of the density."""

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, tuple[int, int, int, int]]:
        height, width = params["shape"][:2]
        share = self.py_random.uniform(*self.scale)
        stretch = math.exp(self.py_random.uniform(*map(math.log, self.ratio)))
        crop_height, crop_width = self.crop_size(height, width, share, stretch)
        crop_height = min(height, max(1, round(crop_height)))
        crop_width = min(width, max(1, round(crop_width)))
        top = self.py_random.randint(0, height - crop_height)
        left = self.py_random.randint(0, width - crop_width)
        bottom, right = top + crop_height, left + crop_width
        density = data.get("mask")
        if density is not None and density[top:bottom, left:right].sum() < MIN_CROP_MASS:
            return {"crop_coords": (0, 0, width, height)}
        return {"crop_coords": (left, top, right, bottom)}

    def crop_size(
        self, height: int, width: int, share: float, stretch: float
    ) -> tuple[float, float]:
        """Return (height, width) of a crop, which may be larger than the image.

        Args:
            height: Pixels of the image.
            width: Pixels of the image.
            share: Area of the crop as a share of the image's.
            stretch: Its width / height as a multiple of the image's.
        """
        return height * math.sqrt(share / stretch), width * math.sqrt(share * stretch)


class _CropToSize(_Crop):
    """A crop with about the proportions of the size that it is stretched to."""

    def crop_size(
        self, height: int, width: int, share: float, stretch: float
    ) -> tuple[float, float]:
        """Return (height, width) of a crop within the image; see `_Crop`."""
        wanted = self.size[1] / self.size[0]
        proportions = width / height * stretch
        proportions = min(max(proportions, wanted / STRETCH), wanted * STRETCH)
        area = share * height * width
        crop_height, crop_width = math.sqrt(area / proportions), math.sqrt(area * proportions)
        shrink = min(1.0, height / crop_height, width / crop_width)
        return crop_height * shrink, crop_width * shrink


class _HorizontalFlip(A.HorizontalFlip):  # type: ignore[misc]  # untyped library
    """A flip for points measured from the frame's edge.

    Note:
        albumentations mirrors keypoints as pixel indices, x -> W - 1 - x, but scales them as
        distances from the edge. Points here are such distances throughout: x -> W - x.
    """

    def apply_to_keypoints(self, keypoints: NDArray[Any], **params: Any) -> NDArray[Any]:
        flipped: NDArray[Any] = super().apply_to_keypoints(keypoints, **params)
        if flipped.size:
            width = np.float32(params["shape"][1])
            flipped[:, 0] = np.minimum(flipped[:, 0] + 1, np.nextafter(width, np.float32(0)))
        return flipped


def _to_fixations(points: NDArray[Any]) -> Fixations:
    xs, ys = np.asarray(points, dtype=np.float32).reshape(-1, 2).T
    return Fixations(np.ascontiguousarray(xs), np.ascontiguousarray(ys))
