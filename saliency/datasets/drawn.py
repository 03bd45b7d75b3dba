"""Images drawn in code, with labels that follow from what is drawn: no data needed."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.attributes import Attribute
from saliency.datasets.base import keep_inside
from saliency.errors import DatasetError
from saliency.fixations import to_density
from saliency.types import SCORES, Sample

_FIXATIONS_A_SHAPE = 24
_STRAY_SHARE = 0.1  # fixations that fall anywhere
_VOTE_STD = 1.2


class DrawnDataset:
    """Glowing shapes on a noisy ground: people look at the shapes and like colourful grounds.

    One to three shapes lie anywhere in the frame, so that only a network that sees them beats the
    centre bias. The hue of the ground has no meaning; its saturation alone decides the votes.
    Image i is always the same.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        size: tuple[int, int] = (96, 128),
        name: str = "drawn",
        rated: bool = False,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """Describe the set; images are drawn on access.

        Args:
            count: How many images the set has.
            seed: Seed; another one gives another set.
            size: (height, width) of the images.
            name: Name of the set in its samples.
            rated: Whether samples have a score distribution beside fixations and density, and
                attributes.
            attributes: Property of an image, `saturation` (0..1) or `shapes` (their number) -> the
                attribute that it labels; other properties are unknown.
        """
        self.name = name
        self.ids = tuple(f"{seed}-{index:05}.png" for index in range(count))
        self._seed = seed
        self._size = size
        self._rated = rated
        self._attributes = dict(attributes or {})

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        image_id = self.ids[index]
        rng = np.random.default_rng([self._seed, index % len(self)])
        colourfulness, hue = float(rng.random()), int(rng.integers(180))
        image = _draw_ground(rng, self._size, colourfulness, hue)

        height, width = self._size
        xs: list[NDArray[np.float64]] = []
        ys: list[NDArray[np.float64]] = []
        for _ in range(rng.integers(1, 4)):
            radius = rng.uniform(0.07, 0.14) * min(self._size)
            x, y = rng.uniform(radius, width - radius), rng.uniform(radius, height - radius)
            _draw_shape(rng, image, (x, y), radius, hue)
            xs.append(rng.normal(x, radius / 2, _FIXATIONS_A_SHAPE))
            ys.append(rng.normal(y, radius / 2, _FIXATIONS_A_SHAPE))
        strays = round(_STRAY_SHARE * _FIXATIONS_A_SHAPE * len(xs))
        fixations = keep_inside(
            np.concatenate([*xs, rng.uniform(0, width, strays)]),
            np.concatenate([*ys, rng.uniform(0, height, strays)]),
            self._size,
        )
        return Sample(
            image,
            self.name,
            image_id,
            fixations=fixations,
            density=to_density(fixations, self._size),
            score_distribution=_vote(2 + 7 * colourfulness) if self._rated else None,
            attributes=self._label(saturation=f"{colourfulness}", shapes=f"{len(xs)}"),
        )

    def _label(self, **known: str) -> tuple[float, ...]:
        if not self._rated:
            return ()
        try:
            return tuple(
                attribute.to_label(known[name]) if name in known else float("nan")
                for name, attribute in self._attributes.items()
            )
        except ValueError as error:
            raise DatasetError(f"{self.name}: {error}") from error


def _draw_ground(
    rng: np.random.Generator, size: tuple[int, int], colourfulness: float, hue: int
) -> NDArray[np.uint8]:
    height, width = size
    # Patches and grain, so that neither brightness nor edges alone tell where the shapes are.
    patches = cv2.resize(rng.random((6, 8), dtype=np.float32), (width, height))
    brightness = 60 + 80 * patches + rng.normal(0, 12, size)
    hsv = np.empty((*size, 3), np.uint8)
    hsv[..., 0] = (hue + 10 * patches) % 180
    hsv[..., 1] = round(220 * colourfulness)
    hsv[..., 2] = brightness.clip(0, 255)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.uint8)


def _draw_shape(
    rng: np.random.Generator,
    image: NDArray[np.uint8],
    center: tuple[float, float],
    radius: float,
    ground_hue: int,
) -> None:
    hsv = np.array([[[(ground_hue + 90) % 180, 255, 255]]], np.uint8)  # the opposite hue
    color = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    corners = int(rng.choice([3, 4, 40]))  # 40: a disc
    angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners
    outline = np.stack(
        [center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)], axis=1
    )
    cv2.fillPoly(image, [outline.round().astype(np.int32)], color)


def _vote(mean: float) -> NDArray[np.float32]:
    votes = np.exp(-0.5 * ((SCORES - mean) / _VOTE_STD) ** 2)
    distribution: NDArray[np.float32] = (votes / votes.sum()).astype(np.float32)
    return distribution
