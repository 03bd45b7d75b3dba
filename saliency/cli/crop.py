"""`saliency crop`: the parts of photos that keep what people look at, as files."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.batch import find_photos
from saliency.batch.crops import encode_crop, find_crops, name_crop
from saliency.cli.options import Backend, BatchSize, Device, Weights
from saliency.cli.progress import progress, say
from saliency.errors import ImageError
from saliency.files import write_atomically
from saliency.images import read_image
from saliency.insights import AspectRatio
from saliency.predictor import Predictor


def crop(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...", help="Photos, folders (searched at any depth) or globs."
        ),
    ],
    aspects: Annotated[
        list[str] | None,
        typer.Option(
            "--aspect",
            "-a",
            metavar="W:H",
            help="Shape: 16:9, 4x5 or 1.5; repeatable; 1:1 if not given.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="The most crops of each shape.")
    ] = 1,
    out_dir: Annotated[Path, typer.Option("--output", "-o", help="Folder for the crops.")] = Path(
        "crops"
    ),
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "auto",
    batch_size: BatchSize = None,
) -> None:
    """Crop photos to a shape around what people look at.

    Candidates are ordered by the attention that they keep, the attention that their edges cut
    through, and their own aesthetic score. Writes STEM.crop-16x9-1.jpg (PNG for photos without
    loss) and so on, the best first, at the photo's own resolution, never enlarged. Prints each
    crop's score, the share of attention that it keeps, its box (x,y,width,height) and its file. A
    photo that cannot be read is named and skipped; the exit code is 1 then.

    **Example:** `saliency crop photos/ --aspect 1:1 --aspect 16:9 -o crops`
    """
    shapes = list(dict.fromkeys(map(AspectRatio.parse, aspects or ["1:1"])))
    photos = find_photos(sources)
    predictor = Predictor.load(weights, device, backend=backend)
    say(f"{predictor.describe()}, photos: {len(photos)}")
    failed = 0
    with progress("cropping", len(photos)) as shown:
        for photo in photos:
            try:
                image = read_image(photo.path)
                whole = predictor.predict(photo.path)  # in fewer pixels, as every door does
            except ImageError as error:
                failed += 1
                shown.advance(skipped=True)
                say(f"skipped: {error}", style="yellow")
                continue
            for best in find_crops(
                predictor, image, whole, shapes, count=count, batch_size=batch_size
            ):
                path = out_dir / name_crop(photo.name, photo.path, best)
                data = encode_crop(image[best.box.pixels], photo.path, path.suffix)
                write_atomically(path, data)
                score = "" if best.score is None else f"{best.score:.2f}"
                shown.print_result(f"{score:>5}  {best.kept_attention:4.0%}  {best.box}  {path}")
            shown.advance()
    say(f"{len(photos) - failed} of {len(photos)} photos cropped; results in {out_dir}")
    if failed:
        raise typer.Exit(1)
