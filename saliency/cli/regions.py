"""`saliency regions`: measures how much attention each region of a photo gets."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from saliency.cli.console import stdout
from saliency.cli.options import Backend, Device, Weights
from saliency.cli.progress import say, say_notes
from saliency.cli.region_options import Boxes, BoxesFile, read_regions
from saliency.insights import measure_regions, require_density
from saliency.predictor import Predictor
from saliency.records import RegionRecord, regions_to_json


def regions(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo.")],
    boxes: Boxes = None,
    boxes_file: BoxesFile = None,
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Compare regions of a photo by the attention they get.

    For each region: its share of all attention, that share divided by its share of the area (1 is
    average), its peak as a share of the photo's peak, and its rank. Parts of a region outside the
    photo are cut off.

    **Example:** `saliency regions photo.jpg --box title=0,0,400,80 --box 120,80,60,90.5`
    """
    found = read_regions(boxes, boxes_file, photo)
    if not found.regions:
        raise typer.BadParameter("name a region with --box or --boxes")
    predictor = Predictor.load(weights, device, backend=backend)
    say(f"{predictor.describe()}")
    prediction = predictor.predict(photo)
    say_notes(photo, prediction.notes)
    found.check_size(prediction.image_size)
    density = require_density(prediction.density)
    measured = measure_regions(density, [region.box for region in found.regions])
    names = [region.name for region in found.regions]
    if as_json:
        records = [RegionRecord.of(*each) for each in zip(names, measured, strict=True)]
        print(json.dumps(regions_to_json(str(photo), prediction.image_size, records)))
        return
    table = Table(box=SIMPLE_HEAD, padding=0)
    table.add_column("region", overflow="fold")
    for heading in ("box", "share", "share/area", "peak", "peak at", "rank"):
        table.add_column(heading, justify="left" if heading == "box" else "right", overflow="fold")
    for name, region in zip(names, measured, strict=True):
        table.add_row(
            escape(name),
            str(region.box),
            f"{region.share:.1%}",
            f"{region.share_per_area:.2f}",
            f"{region.peak:.0%}",
            f"{region.peak_at.x:g},{region.peak_at.y:g}",
            str(region.rank),
        )
    stdout.print(table)
