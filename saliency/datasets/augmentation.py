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

MIN_CROP_MASS = 0.3
"""A crop that keeps less of the density than this would be a photo of nothing: it is not taken."""


class Augmentation:
    """Turn a sample into a randomly changed one of a fixed size.

    Samples without ratings are cropped, mirrored and changed in colour. A rating is of the whole
    picture as it is: rated samples are mirrored and resized only, unless `rated_crop_scale` says
    otherwise, and their colours are never touched.

    Every change of geometry stretches the crop to `size`, as prediction stretches a photo.
    """

    def __init__(
        self,
        size: tuple[int, int],
        crop_scale: tuple[float, float] = (0.6, 1.0),
        crop_ratio: tuple[float, float] = (0.85, 1.18),
        flip_probability: float = 0.5,
        color: bool = True,
        rated_crop_scale: tuple[float, float] | None = None,
    ) -> None:
        """Build both pipelines.

        Args:
            size: (height, width) of what comes out.
            crop_scale: Area of a crop as a share of the image's, from and to; (1, 1) is no crop.
            crop_ratio: Width / height of a crop as a multiple of the image's, from and to.
            flip_probability: How often left and right change places.
            color: Whether samples without ratings change in brightness, contrast and colour.
            rated_crop_scale: As `crop_scale`, for rated samples; None is no crop.
        """
        flip = _HorizontalFlip(p=flip_probability)
        self._for_saliency = _compose(
            _Crop(size, crop_scale, crop_ratio, cv2.INTER_LINEAR, cv2.INTER_LINEAR, "image_mask"),
            flip,
            *([A.ColorJitter(0.2, 0.2, 0.2, 0.03, p=0.8)] if color else []),
        )
        self._for_ratings = _compose(
            _Crop(
                size,
                rated_crop_scale or (1.0, 1.0),
                (1.0, 1.0),
                cv2.INTER_LINEAR,
                cv2.INTER_LINEAR,
                "image_mask",
            ),
            flip,
        )

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """Change `sample`; the same seed changes it in the same way.

        Args:
            sample: Any labels; density and fixations follow the image.
            seed: >= 0.

        Returns:
            A sample of the size given at the start. Fixations outside the crop are gone and the
            density sums to 1 again.
        """
        rated = sample.score_distribution is not None and not sample.score_is_taught
        pipeline = self._for_ratings if rated else self._for_saliency
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


class _Crop(A.RandomResizedCrop):  # type: ignore[misc]  # untyped library
    """A crop around the image's own aspect ratio that keeps a fair share of the density."""

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, tuple[int, int, int, int]]:
        height, width = params["shape"][:2]
        share = self.py_random.uniform(*self.scale)
        stretch = math.exp(self.py_random.uniform(*map(math.log, self.ratio)))
        crop_height = min(height, max(1, round(height * math.sqrt(share / stretch))))
        crop_width = min(width, max(1, round(width * math.sqrt(share * stretch))))
        top = self.py_random.randint(0, height - crop_height)
        left = self.py_random.randint(0, width - crop_width)
        bottom, right = top + crop_height, left + crop_width
        density = data.get("mask")
        if density is not None and density[top:bottom, left:right].sum() < MIN_CROP_MASS:
            return {"crop_coords": (0, 0, width, height)}
        return {"crop_coords": (left, top, right, bottom)}


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


def _compose(*transforms: A.BasicTransform) -> A.Compose:
    return A.Compose(list(transforms), keypoint_params=A.KeypointParams(format="xy"))


def _to_fixations(points: NDArray[Any]) -> Fixations:
    xs, ys = np.asarray(points, dtype=np.float32).reshape(-1, 2).T
    return Fixations(np.ascontiguousarray(xs), np.ascontiguousarray(ys))
