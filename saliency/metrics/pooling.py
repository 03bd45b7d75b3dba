"""Pool the fixations of several images in one frame."""

from collections.abc import Sequence

import numpy as np

from saliency.types import Fixations


def rescale_fixations(
    fixations: Fixations, size: tuple[int, int], new_size: tuple[int, int]
) -> Fixations:
    """Stretch points from a frame of (height, width) `size` to one of `new_size`."""
    # In float64, or points on the edge of a pixel slip into the one before.
    xs = fixations.xs.astype(np.float64) * new_size[1] / size[1]
    ys = fixations.ys.astype(np.float64) * new_size[0] / size[0]
    return Fixations(xs.astype(np.float32), ys.astype(np.float32))


def pool_fixations(
    fixations: Sequence[Fixations], sizes: Sequence[tuple[int, int]], size: tuple[int, int]
) -> Fixations:
    """Stretch the fixations of several images to one frame and join them.

    With all images but one, this gives `auc_shuffled` the negatives of the one left out.

    Args:
        fixations: Fixations of each image, in that image's pixels.
        sizes: (height, width) of each image.
        size: (height, width) of the common frame.

    Raises:
        ValueError: The two sequences are empty or differ in length.
    """
    if not fixations:
        raise ValueError("`fixations` should hold at least one image. Found 0.")
    if len(sizes) != len(fixations):
        raise ValueError(
            f"`sizes` should have one entry for each of the {len(fixations)} images. "
            f"Found {len(sizes)}."
        )
    scaled = [
        rescale_fixations(points, own_size, size)
        for points, own_size in zip(fixations, sizes, strict=True)
    ]
    return Fixations(
        np.concatenate([points.xs for points in scaled]),
        np.concatenate([points.ys for points in scaled]),
    )
