"""Boxes with names: from the command line, from a JSON file, from COCO annotations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from saliency.errors import InsightError
from saliency.insights.boxes import Box


@dataclass(frozen=True, slots=True)
class Region:
    """A box and its name, as in `cta=10,20,300,80`.

    Example:
        >>> Region.parse("cta=10,20,300,80")
        Region(name='cta', box=Box(x=10.0, y=20.0, width=300.0, height=80.0))
    """

    name: str
    box: Box

    @classmethod
    def parse(cls, text: str, default_name: str = "1") -> Region:
        """Read `NAME=X,Y,WIDTH,HEIGHT`, or a box alone, which gets `default_name`.

        Raises:
            InsightError: The text after the name is no box.
        """
        name, _, box = text.rpartition("=")
        return cls(name.strip() or default_name, Box.parse(box))


@dataclass(frozen=True, slots=True)
class RegionFile:
    """The boxes that a file holds for one photo.

    Attributes:
        regions: The boxes, in the file's order.
        image_size: (height, width) of the photo that the boxes were drawn on, if the file says.
    """

    regions: tuple[Region, ...]
    image_size: tuple[int, int] | None = None

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Check that the boxes were drawn on a photo of `image_size` (height, width).

        Raises:
            InsightError: They were drawn on a photo of another size, so they would be misplaced.
        """
        if self.image_size is not None and self.image_size != image_size:
            raise InsightError(
                "The boxes should be drawn on a photo of the same size, "
                f"{image_size[1]} wide and {image_size[0]} high. Found boxes for one of "
                f"{self.image_size[1]} x {self.image_size[0]}."
            )


def parse_region_file(text: str, photo: PurePath | str) -> RegionFile:
    """Read the boxes for one photo from JSON.

    Three forms are known: `{"name": [x, y, width, height], ...}`, a plain list of such boxes, and
    COCO annotations (`images`, `annotations` with `bbox`, `categories`). From COCO annotations the
    boxes of one image are taken: the image whose `file_name`, which may have folders, agrees with
    the end of the photo's path, or the only image of the photo's name. A box without a name gets
    its number as name. Further boxes of a COCO category get a number: person, person 2.

    Args:
        text: The file's text.
        photo: The photo's path, or only its name.

    Raises:
        InsightError: The text has none of these forms or holds no box, or COCO's `images` do not
            name the photo exactly once.

    Source: https://cocodataset.org/#format-data, "Object Detection".
    """
    try:
        content = json.loads(text, object_pairs_hook=_refuse_repeats)
        if isinstance(content, dict) and "annotations" in content:
            return _from_coco(content, PurePath(photo))
        pairs = content.items() if isinstance(content, dict) else enumerate(content, start=1)
        regions = tuple(Region(str(name), _to_box(numbers)) for name, numbers in pairs)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InsightError(
            'The file of boxes should be {"name": [x, y, width, height], ...}, a list of boxes or '
            f"COCO annotations. Found: {error!r}."
        ) from error
    if not regions:
        raise InsightError("The file of boxes should hold at least one. Found none.")
    return RegionFile(regions)


def check_names(regions: Iterable[Region]) -> None:
    """Check that all names differ.

    Raises:
        InsightError: Two regions have the same name.
    """
    twice = [name for name, count in Counter(r.name for r in regions).items() if count > 1]
    if twice:
        raise InsightError(f"Regions should have different names. Found twice: {twice[0]!r}.")


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object's pairs as a dict, which would keep only the last of equal names."""
    content = dict(pairs)
    if len(content) < len(pairs):
        [(name, _), *_] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name!r} twice")
    return content


def _from_coco(content: dict[str, Any], photo: PurePath) -> RegionFile:
    image = _find_image(content["images"], photo)
    categories = {c["id"]: str(c["name"]) for c in content.get("categories", ())}
    seen: Counter[str] = Counter()
    regions = []
    for annotation in content["annotations"]:
        if annotation["image_id"] != image["id"]:
            continue
        name = categories.get(annotation.get("category_id"), "region")
        seen[name] += 1
        numbered = name if seen[name] == 1 else f"{name} {seen[name]}"
        regions.append(Region(numbered, _to_box(annotation["bbox"])))
    if not regions:
        raise InsightError(f"COCO's `annotations` should have a box in {photo.name}. Found none.")
    if "width" in image and "height" in image:
        return RegionFile(tuple(regions), (int(image["height"]), int(image["width"])))
    return RegionFile(tuple(regions))


def _find_image(images: Sequence[dict[str, Any]], photo: PurePath) -> dict[str, Any]:
    """Return the entry of COCO's `images` that belongs to `photo`."""

    def to_parts(image: dict[str, Any]) -> tuple[str, ...]:
        return PurePath(image["file_name"].replace("\\", "/")).parts

    named = [image for image in images if to_parts(image)[-1:] == (photo.name,)]
    agreeing = [image for image in named if photo.parts[-len(to_parts(image)) :] == to_parts(image)]
    longest = max((len(to_parts(image)) for image in agreeing), default=0)
    best = [image for image in agreeing if len(to_parts(image)) == longest] or named
    if len(best) != 1:
        raise InsightError(
            f"COCO's `images` should name {photo.name} once. Found it {len(best)} times."
        )
    return best[0]


def _to_box(numbers: Sequence[float]) -> Box:
    x, y, width, height = map(float, numbers)
    return Box(x, y, width, height)
