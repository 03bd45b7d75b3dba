"""Crops of a given shape that keep what people look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.errors import InsightError
from saliency.insights.attention import AttentionTable, coarsen
from saliency.insights.boxes import Box

MAX_ASPECT = 20
"""Largest ratio of a crop's longer side to its shorter side."""

SMALLEST = 0.5
"""Side of the smallest crops, as a share of that of the largest crop of their shape."""

SIZES = 8
"""Number of sizes that are tried; each is about a tenth larger than the next."""

STEPS = 33
"""Number of places that are tried along each side, from one end to the other."""

AREA_COST = 0.1
"""Cost of the whole photo's area, as a share of attention: a crop leaves out places that get less
than a tenth of average attention."""

CUT_COST = 1.0
"""Cost of attention in the band around the edges, where the crop would cut through something."""

CUT_BAND = 0.06
"""Width of the band on either side of an edge, as a share of the crop's shorter side."""

MAX_OVERLAP = 0.7
"""Intersection over union from which two crops count as the same proposal."""

SCORE_WEIGHT = 0.1
"""Value of one point of the aesthetic score, as a share of attention."""


@dataclass(frozen=True, slots=True)
class AspectRatio:
    """The shape of a crop.

    Attributes:
        width: Units across, > 0.
        height: Units down, > 0; `width / height` is 1/20..20.

    Raises:
        InsightError: The shape is beyond these limits.

    Example:
        >>> print(AspectRatio.parse("4x5"), AspectRatio.parse("1.5").value)
        4:5 1.5
    """

    width: float
    height: float

    def __post_init__(self) -> None:
        shortest, longest = sorted((self.width, self.height))
        if not (shortest > 0 and longest / shortest <= MAX_ASPECT):  # NaN is not
            raise InsightError(
                f"`aspect` should be between 1:{MAX_ASPECT} and {MAX_ASPECT}:1. Found {self}."
            )

    @classmethod
    def parse(cls, text: str) -> AspectRatio:
        """Read "16:9", "4x5" or "1.5", which is width over height.

        Raises:
            InsightError: `text` is none of these, or beyond the limits.
        """
        number = r"(\d+(?:\.\d+)?)"
        found = re.fullmatch(rf"\s*{number}\s*(?:[:x]\s*{number}\s*)?", text, re.ASCII)
        if found is None:
            raise InsightError(f"`aspect` should be like 16:9, 4x5 or 1.5. Found {text!r}.")
        return cls(float(found[1]), float(found[2] or 1))

    def __str__(self) -> str:
        return f"{self.width:g}:{self.height:g}"

    @property
    def value(self) -> float:
        """Width over height, 1/20..20."""
        return self.width / self.height


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a photo; `image[crop.box.pixels]` is its picture.

    Attributes:
        aspect: The requested shape, which the box has to within a pixel.
        box: Whole pixels, inside the photo.
        kept_attention: Share of all attention inside, 0..1.
        cut_attention: Share of all attention close to the crop's edges, 0..1, not counting edges
            on the photo's own border: how much of what people look at is cut through.
        balance: `kept_attention` minus the costs of the area and of the cut attention, at most 1;
            proposals are ordered by it.
    """

    aspect: AspectRatio
    box: Box
    kept_attention: float
    cut_attention: float
    balance: float


@dataclass(frozen=True, slots=True)
class RankedCrop:
    """A crop after its picture was scored.

    Attributes:
        aspect: The requested shape.
        box: Whole pixels, inside the photo.
        kept_attention: Share of all attention inside, 0..1.
        cut_attention: Share of all attention close to its edges, 0..1, as of `Crop`.
        score: Mean aesthetic score of the crop alone, 1..10; None without an aesthetic head.
        rank: 1 for the best, then 2, 3, ...
    """

    aspect: AspectRatio
    box: Box
    kept_attention: float
    cut_attention: float
    score: float | None
    rank: int


def propose_crops(
    density: NDArray[np.floating],
    aspect: AspectRatio,
    count: int = 8,
    *,
    image_size: tuple[int, int] | None = None,
) -> list[Crop]:
    r"""Propose distinct crops of one shape, the best first.

    Crops of 8 sizes, from the largest that fits to half its side, at up to 33 x 33 places each
    are judged by

    .. math:: balance = kept - 0.1 \, area - 1.0 \, cut

    with `kept` the share of attention inside, `area` the share of the photo's area, and `cut` the
    share of attention within 6 % of the crop's shorter side from an edge; an edge on the photo's
    own border cuts nothing. So a crop grows as long as the parts that it gains get more than a
    tenth of average attention, and its edges prefer places where nobody looks. If crops overlap
    with an intersection over union of .7 or more, only the best of them is kept.

    Args:
        density: (h, w), >= 0; a longer side of `COARSE_SIDE` is as good as the photo's own.
        aspect: The shape.
        count: Largest number of crops to return, >= 1.
        image_size: (height, width) of the photo, in whose pixels boxes are given; None: the size
            of the density.

    Returns:
        1..`count` crops.

    Raises:
        InsightError: `count` is below 1, or `density` is zero everywhere, negative somewhere, or
            not finite.
    """
    if count < 1:
        raise InsightError(f"`count` should be at least 1. Found {count}.")
    coarse = coarsen(density)
    height, width = image_size or density.shape
    table = AttentionTable(coarse, (height, width))
    places = _list_places((height, width), aspect)
    kept = _keep(table, places)
    cut = _cut(table, places, (height, width))
    balance = kept - AREA_COST * places.area / (height * width) - CUT_COST * cut
    # Crops of equal balance, as with an even density: those nearest to the middle come first.
    off_center = np.hypot(
        (places.left + places.right) / width - 1, (places.top + places.bottom) / height - 1
    )
    order = np.lexsort((off_center, -np.round(balance, 6)))
    return [
        Crop(aspect, places.box(best), float(kept[best]), float(cut[best]), float(balance[best]))
        for best in _pick_distinct(places, order, count)
    ]


def rank_crops(
    crops: Sequence[Crop], scores: Sequence[float | None], count: int = 1
) -> list[RankedCrop]:
    """Rank crops by the attention that they keep and by how good they look.

    The value of a crop is `balance + 0.1 * score`: a point of score is worth a tenth of the
    photo's attention. If any score is missing, no score is used.

    Args:
        crops: Crops from `propose_crops`.
        scores: Aesthetic score of each crop's picture, 1..10; None if the network has no
            aesthetic head.
        count: Largest number of crops to return, >= 1.

    Returns:
        Up to `count` crops, the best first; crops of equal value in the order given.

    Raises:
        InsightError: `scores` does not have one score per crop, or `count` is below 1.
    """
    if len(scores) != len(crops):
        raise InsightError(f"`scores` should have one per crop, {len(crops)}. Found {len(scores)}.")
    if count < 1:
        raise InsightError(f"`count` should be at least 1. Found {count}.")
    known = [score for score in scores if score is not None]
    weight = SCORE_WEIGHT if len(known) == len(scores) else 0.0
    values = [c.balance + weight * (s or 0.0) for c, s in zip(crops, scores, strict=True)]
    best_first = sorted(range(len(crops)), key=lambda i: -values[i])[:count]
    ranked = []
    for rank, i in enumerate(best_first, start=1):
        c = crops[i]
        ranked.append(
            RankedCrop(c.aspect, c.box, c.kept_attention, c.cut_attention, scores[i], rank)
        )
    return ranked


class _Places(NamedTuple):
    """The edges of N boxes of whole pixels: (N,) int64 each."""

    left: NDArray[np.int64]
    top: NDArray[np.int64]
    right: NDArray[np.int64]
    bottom: NDArray[np.int64]

    @property
    def area(self) -> NDArray[np.int64]:
        return (self.right - self.left) * (self.bottom - self.top)

    def box(self, index: int) -> Box:
        left, top, right, bottom = (int(edge[index]) for edge in self)
        return Box(left, top, right - left, bottom - top)


def _list_places(image_size: tuple[int, int], aspect: AspectRatio) -> _Places:
    """Return every box to judge: several sizes, each at evenly spread places."""
    photo_height, photo_width = image_size
    largest = min(float(photo_width), photo_height * aspect.value)
    sizes = {
        (
            min(photo_width, max(1, round(side))),
            min(photo_height, max(1, round(side / aspect.value))),
        )
        for side in largest * np.geomspace(1, SMALLEST, SIZES)
    }
    parts = []
    for width, height in sorted(sizes, reverse=True):
        lefts = np.unique(np.linspace(0, photo_width - width, STEPS).round().astype(np.int64))
        tops = np.unique(np.linspace(0, photo_height - height, STEPS).round().astype(np.int64))
        left, top = (grid.ravel() for grid in np.meshgrid(lefts, tops))
        parts.append((left, top, left + width, top + height))
    return _Places(*(np.concatenate(edges) for edges in zip(*parts, strict=True)))


def _keep(table: AttentionTable, places: _Places) -> NDArray[np.float64]:
    """Return the share of attention, 0..1, inside each of N boxes."""
    return table.shares(places.left, places.top, places.right, places.bottom)


def _cut(
    table: AttentionTable, places: _Places, image_size: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the share of attention, 0..1, close to those edges that are not the photo's own."""
    height, width = image_size
    left, top, right, bottom = places
    band = CUT_BAND * np.minimum(right - left, bottom - top)
    outer = table.shares(left - band, top - band, right + band, bottom + band)
    inner = table.shares(
        np.where(left > 0, left + band, left),
        np.where(top > 0, top + band, top),
        np.where(right < width, right - band, right),
        np.where(bottom < height, bottom - band, bottom),
    )
    return outer - inner


def _pick_distinct(places: _Places, order: NDArray[np.intp], count: int) -> list[int]:
    """Return up to `count` of `order`, without boxes that overlap an earlier one too much."""
    picked: list[int] = []
    left = order
    while left.size and len(picked) < count:
        best = int(left[0])
        picked.append(best)
        left = left[_overlap(places, left, best) < MAX_OVERLAP]
    return picked


def _overlap(places: _Places, some: NDArray[np.intp], one: int) -> NDArray[np.float64]:
    """Return the intersection over union, 0..1, of `some` boxes with `one`."""
    across = np.minimum(places.right[some], places.right[one]) - np.maximum(
        places.left[some], places.left[one]
    )
    down = np.minimum(places.bottom[some], places.bottom[one]) - np.maximum(
        places.top[some], places.top[one]
    )
    both = across.clip(min=0) * down.clip(min=0)
    ratio: NDArray[np.float64] = both / (places.area[some] + places.area[one] - both)
    return ratio
