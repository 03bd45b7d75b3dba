"""`saliency regions`: how much attention each box of a photo gets."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from saliency.cli.console import stderr, stdout
from saliency.cli.options import Device, Weights
from saliency.insights import Box, RegionAttention, measure_regions, require_density
from saliency.predictor import Predictor


def regions(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo.")],
    boxes: Annotated[
        list[str],
        typer.Option(
            "--box",
            metavar="X,Y,WIDTH,HEIGHT",
            help="A box in pixels from the top-left corner of the upright photo; repeatable.",
        ),
    ],
    weights: Weights = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Numbers for programs.")] = False,
) -> None:
    """Compare boxes of a photo by the attention they get.

    For each box: its share of all attention, that share over its share of the area (1 is an
    average place), its peak as a share of the photo's peak, and its rank. What lies outside the
    photo is cut off.

    **Example:** `saliency regions photo.jpg --box 0,0,400,300 --box 120,80,60,90.5`
    """
    parsed = [Box.parse(text) for text in boxes]
    predictor = Predictor.load(weights, device)
    stderr.print(f"device: {predictor.device}", highlight=False)
    prediction = predictor.predict(photo)
    measured = measure_regions(require_density(prediction.density), parsed)
    if as_json:
        image_size = list(prediction.image_size)
        rows = [to_row(region) for region in measured]
        print(json.dumps({"image": str(photo), "image_size": image_size, "regions": rows}))
        return
    table = Table(box=SIMPLE_HEAD, padding=0)
    for heading in ("box", "share", "share/area", "peak", "peak at", "rank"):
        table.add_column(heading, justify="left" if heading == "box" else "right", overflow="fold")
    for region in measured:
        table.add_row(
            str(region.box),
            f"{region.share:.1%}",
            f"{region.share_per_area:.2f}",
            f"{region.peak:.0%}",
            f"{region.peak_at.x:g},{region.peak_at.y:g}",
            str(region.rank),
        )
    stdout.print(table)


def to_row(region: RegionAttention) -> dict[str, object]:
    """Return the fields of `region` under their own names, for JSON."""
    box = region.box
    return {
        "box": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
        "share": region.share,
        "share_per_area": region.share_per_area,
        "peak": region.peak,
        "peak_at": list(region.peak_at),
        "rank": region.rank,
    }
