"""Options by which verbs take regions of a photo."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.errors import InsightError
from saliency.insights import Region, RegionFile, check_names, parse_region_file

Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="[NAME=]X,Y,WIDTH,HEIGHT",
        help="A region in pixels from the top-left corner of the upright photo; repeatable.",
    ),
]
BoxesFile = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        metavar="FILE.json",
        help='Regions from a file: {"name": [x, y, width, height]}, a list of such boxes, or COCO '
        "annotations, of which those with the photo's path or file name are used.",
    ),
]


def read_regions(boxes: list[str] | None, file: Path | None, photo: Path) -> RegionFile:
    """Return the regions of a photo that the two options name together.

    Raises:
        InsightError: The file or a box is invalid, or two regions have the same name.
    """
    given = [Region.parse(text, str(number)) for number, text in enumerate(boxes or (), start=1)]
    if file is None:
        found = RegionFile(tuple(given))
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InsightError(f"{file} should be a JSON file. Found: {error}.") from error
        in_file = parse_region_file(text, photo.absolute())
        found = RegionFile((*given, *in_file.regions), in_file.image_size)
    check_names(found.regions)
    return found


def move_regions(found: RegionFile, boxes: list[str] | None) -> RegionFile:
    """Return the regions of a second version, some of which are elsewhere there.

    Args:
        found: The regions where the first version has them.
        boxes: `NAME=X,Y,WIDTH,HEIGHT` of those that moved.

    Raises:
        InsightError: A box makes no sense, or its name is not among the regions or is given twice.
    """
    moved = [Region.parse(text, "") for text in boxes or ()]
    check_names(moved)
    names = [region.name for region in found.regions]
    for region in moved:
        if region.name not in names:
            raise InsightError(
                "`--box-b` should name a region of --box or --boxes, as in cta=10,20,300,80. "
                f"Found {region.name!r}; the regions are {', '.join(names) or 'none'}."
            )
    elsewhere = {region.name: region for region in moved}
    regions = tuple(elsewhere.get(region.name, region) for region in found.regions)
    return RegionFile(regions, found.image_size)
