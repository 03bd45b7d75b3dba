"""How verbs are told about regions of a photo."""

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
        "annotations, where the photo's file name chooses.",
    ),
]


def read_regions(boxes: list[str] | None, file: Path | None, photo: Path) -> RegionFile:
    """Return the regions of a photo that both options name together.

    Raises:
        InsightError: The file or a box makes no sense, or two regions have one name.
    """
    given = [Region.parse(text, str(number)) for number, text in enumerate(boxes or (), start=1)]
    if file is None:
        found = RegionFile(tuple(given))
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InsightError(f"{file} should be a JSON file. Found: {error}.") from error
        in_file = parse_region_file(text, photo.name)
        found = RegionFile((*given, *in_file.regions), in_file.image_size)
    check_names(found.regions)
    return found
