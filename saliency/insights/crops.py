"""Which parts of a photo, of a given shape, keep what people look at?"""

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
"""The longer side of a crop over its shorter one."""

SMALLEST = 0.5
"""Side of the smallest crops, over that of the largest of their shape."""

SIZES = 8
"""How many sizes are tried, a tenth apart."""

STEPS = 33
"""Places tried along each side: both ends, the middle and 30 between."""

AREA_COST = 0.1
"""Attention that the whole photo's area is worth: what gets less than a tenth of an average place
is left out."""

CUT_COST = 1.0
"""Attention that attention in the band around the edge is worth: it would be cut through."""

CUT_BAND = 0.06
"""How far the band reaches to either side of an edge, as a share of the crop's shorter side."""

MAX_OVERLAP = 0.7
"""Intersection over union from which two crops are the same idea."""

SCORE_WEIGHT = 0.1
"""Attention that one point of the aesthetic score is worth."""


@dataclass(frozen=True, slots=True)
class AspectRatio:
    """The shape of a crop.

    Attributes:
        width: Units across, > 0.
        height: Units down, > 0; `width / height` is 1/20..20.

    Raises:
        InsightError: It is beyond those limits.

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
            InsightError: It is none of these, or beyond the limits.
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
        aspect: The shape asked for; the box has it to within a pixel.
        box: Whole pixels, inside the photo.
        kept_attention: Share of all attention inside, 0..1.
        cut_attention: Share of all attention close to its edges, 0..1, those on the photo's own
            border left out: how much of what people look at is cut through.
        balance: `kept_attention` less what the area and the cut attention cost, at most 1: what
            proposals are ordered by.
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
        aspect: The shape asked for.
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
    own border cuts nothing. So a crop grows while what it gains gets more than a tenth of an
    average place's attention, and its edges seek places where nobody looks. Of crops that overlap
    by an intersection over union of .7 or more only the best stays.

    Args:
        density: (h, w), >= 0; a longer side of `COARSE_SIDE` is as good as the photo's own.
        aspect: The shape.
        count: The most crops to return, >= 1.
        image_size: (height, width) of the photo, in whose pixels boxes are; None: the density has
            its size.

    Returns:
        1..`count` crops.

    Raises:
        InsightError: `count` is below 1, or `density` is no density.
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
    # Equal ones, as an even density has, nearest to the middle first.
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
    """Rank crops by what they keep and how good they look.

    The value of a crop is `balance + 0.1 * score`: a point of score is worth a tenth of the
    photo's attention. Where any score is missing, all are left out.

    Args:
        crops: From `propose_crops`.
        scores: Aesthetic score of each crop's picture, 1..10; None if the network has no such
            head.
        count: The most crops to return, >= 1.

    Returns:
        Up to `count` crops, the best first; equal ones in the order given.

    Raises:
        InsightError: There is not one score a crop, or `count` is below 1.
    """
    if len(scores) != len(crops):
        raise InsightError(f"`scores` should have one a crop, {len(crops)}. Found {len(scores)}.")
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
    """N boxes of whole pixels by their edges: (N,) int64 each."""

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
    """Return every box to judge: a few sizes, each at an even spread of places."""
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
    """Return up to `count` of `order`, leaving out what overlaps an earlier one too much."""
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
