"""`saliency crop`: cuts photos to a shape around what people look at."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.batch import PassedOver, find_photos
from saliency.batch.crops import encode_crop, find_crops, name_crop
from saliency.cli.options import Backend, BatchSize, Device, Weights
from saliency.cli.progress import progress, say, say_notes, say_passed_over
from saliency.errors import ImageError
from saliency.files import write_atomically
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
            help="Shape, such as 16:9, 4x5 or 1.5; repeatable; 1:1 if not given.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Largest number of crops of each shape.")
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
    through, and their own aesthetic score. Writes STEM.crop-16x9-1.jpg (PNG for photos in lossless
    formats) and so on, the best first, at the photo's own resolution, never enlarged. Prints each
    crop's score, the share of attention that it keeps, its box (x,y,width,height) and its file. A
    photo that cannot be read is named and skipped; the exit code is then 1.

    A crop of an RGB photo keeps its colour profile; other photos are converted to sRGB. EXIF is
    kept, copyright included, and the orientation is applied. Crops have 8 bits per sample;
    transparent parts become white; XMP and IPTC are left out.

    **Example:** `saliency crop photos/ --aspect 1:1 --aspect 16:9 -o crops`
    """
    shapes = list(dict.fromkeys(map(AspectRatio.parse, aspects or ["1:1"])))
    passed_over = PassedOver()
    photos = find_photos(sources, passed_over)
    predictor = Predictor.load(weights, device, backend=backend)
    say(f"{predictor.describe()}, photos: {len(photos)}")
    failed = 0
    with progress("cropping", len(photos)) as shown:
        for photo in photos:
            try:
                prepared, own = predictor.prepare_whole(photo.path)
            except ImageError as error:
                failed += 1
                shown.advance(skipped=True)
                say(f"skipped: {error}", style="yellow")
                continue
            [whole] = predictor.predict_prepared([prepared], on_all_cores=True)
            say_notes(photo.file, whole.notes)
            for best in find_crops(
                predictor, own.in_srgb, whole, shapes, count=count, batch_size=batch_size
            ):
                path = out_dir / name_crop(photo.name, photo.path, best)
                write_atomically(path, encode_crop(own, best.box, path.suffix))
                score = "" if best.score is None else f"{best.score:.2f}"
                shown.print_result(f"{score:>5}  {best.kept_attention:4.0%}  {best.box}  {path}")
            shown.advance()
    say(f"{len(photos) - failed} of {len(photos)} photos cropped; results in {out_dir}")
    say_passed_over(passed_over.describe())
    if failed:
        raise typer.Exit(1)
