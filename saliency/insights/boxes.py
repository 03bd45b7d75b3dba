"""Points and boxes in a photo, in pixels from its top-left corner.

The pixel in column c covers c..c+1, so its centre is c + .5 and a photo W pixels wide is 0..W.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import NamedTuple

from saliency.errors import InsightError


class Point(NamedTuple):
    """A place in a photo.

    Attributes:
        x: Pixels from the left edge, 0..W.
        y: Pixels from the top edge, 0..H.
    """

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright photo; it may cut through pixels.

    Attributes:
        x: Left edge, finite; negative if the box begins left of the photo.
        y: Top edge, finite.
        width: Pixels to the right edge, > 0.
        height: Pixels to the bottom edge, > 0.

    Raises:
        InsightError: A number is not finite, or a side is not positive.

    Example:
        >>> Box.parse("10,20,30.5,40")
        Box(x=10.0, y=20.0, width=30.5, height=40.0)
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not all(map(isfinite, (self.x, self.y, self.width, self.height))):
            raise InsightError(f"`box` should have finite numbers. Found {self}.")
        if self.width <= 0 or self.height <= 0 or self.area == 0:  # 1e-200 squared is 0
            raise InsightError(f"`box` should have a width and a height above 0. Found {self}.")

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read `x,y,width,height`, as in "10,20,30.5,40".

        Raises:
            InsightError: `text` is not four numbers, or they make no box.
        """
        try:
            x, y, width, height = map(float, text.split(","))
        except ValueError as error:
            raise InsightError(
                f"`box` should be x,y,width,height in pixels, like 10,20,300,200. Found {text!r}."
            ) from error
        return cls(x, y, width, height)

    def __str__(self) -> str:
        return ",".join(f"{value:.10g}" for value in (self.x, self.y, self.width, self.height))

    @property
    def area(self) -> float:
        """Area in square pixels, > 0."""
        return self.width * self.height

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of every pixel that the box touches, to index a photo with.

        Only for a box inside the photo; a negative edge would count from the other side.
        """
        return (
            slice(floor(self.y), ceil(self.y + self.height)),
            slice(floor(self.x), ceil(self.x + self.width)),
        )

    def cut_to(self, image_size: tuple[int, int]) -> Box:
        """Return the part inside a photo of `image_size` (height, width).

        Raises:
            InsightError: The box lies wholly outside.
        """
        height, width = image_size
        left, right = max(self.x, 0), min(self.x + self.width, width)
        top, bottom = max(self.y, 0), min(self.y + self.height, height)
        if left >= right or top >= bottom:
            raise InsightError(
                f"`box` should overlap the photo, {width} wide and {height} high. Found {self}."
            )
        return Box(left, top, right - left, bottom - top)
