"""`saliency crop`: the parts of photos that keep what people look at, as files."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from saliency.batch import Photo, find_photos
from saliency.cli.console import progress_bar, stderr, stdout
from saliency.cli.options import BatchSize, Device, Weights
from saliency.errors import ImageError
from saliency.files import write_atomically
from saliency.images import read_image
from saliency.insights import (
    AspectRatio,
    Crop,
    RankedCrop,
    propose_crops,
    rank_crops,
    require_density,
)
from saliency.predictor import BATCH_SIZE, Predictor

CANDIDATES = 8
"""Crops of each shape that are scored, at least; those asked for come from among them."""

LOSSLESS_SUFFIXES = frozenset({".png", ".bmp", ".gif", ".tif", ".tiff"})
"""Photos whose crops are PNG; the others have lost detail to JPEG's kind before."""

JPEG_QUALITY = 95


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
    batch_size: BatchSize = BATCH_SIZE,
) -> None:
    """Crop photos to a shape around what people look at.

    Writes STEM.crop-16x9-1.jpg (PNG for photos without loss) and so on, the best first, at the
    photo's own resolution. Prints each crop's score, the share of attention that it keeps, its
    box (x,y,width,height) and its file. A photo that cannot be read is named and skipped; the
    exit code is 1 then.

    **Example:** `saliency crop photos/ --aspect 1:1 --aspect 16:9 -o crops`
    """
    shapes = list(dict.fromkeys(map(AspectRatio.parse, aspects or ["1:1"])))
    photos = find_photos(sources)
    predictor = Predictor.load(weights, device)
    stderr.print(f"device: {predictor.device}, photos: {len(photos)}", highlight=False)
    failed = 0
    with progress_bar() as bar:
        for photo in bar.track(photos, description="cropping"):
            try:
                image = read_image(photo.path)
            except ImageError as error:
                failed += 1
                stderr.print(
                    f"skipped: {error}",
                    style="yellow",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
                continue
            for best in find_crops(predictor, image, shapes, count, batch_size):
                path = out_dir / name_crop(photo, best)
                write_atomically(path, encode(image[best.box.pixels], photo.path, path.suffix))
                score = "" if best.score is None else f"{best.score:.2f}"
                stdout.print(
                    f"{score:>5}  {best.kept_attention:4.0%}  {best.box}  {path}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    done = len(photos) - failed
    stderr.print(
        f"{done} of {len(photos)} photos cropped; results in {out_dir}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if failed:
        raise typer.Exit(1)


def find_crops(
    predictor: Predictor,
    image: NDArray[np.uint8],
    shapes: list[AspectRatio],
    count: int,
    batch_size: int,
) -> Iterator[RankedCrop]:
    """Yield up to `count` crops of each shape, the best first, scored as photos of their own."""
    whole = predictor.predict(image)
    density = require_density(whole.density)
    for shape in shapes:
        proposed = propose_crops(density, shape, max(CANDIDATES, count))
        scores: list[float | None] = [None] * len(proposed)
        if whole.score is not None:
            scores = [p.score for p in predictor.predict_many(cut(image, proposed), batch_size)]
        yield from rank_crops(proposed, scores, count)


def cut(image: NDArray[np.uint8], crops: list[Crop]) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture of each crop."""
    for one in crops:
        yield image[one.box.pixels]


def name_crop(photo: Photo, best: RankedCrop) -> Path:
    """Return where a crop goes, relative to the output folder."""
    suffix = ".png" if photo.path.suffix.lower() in LOSSLESS_SUFFIXES else ".jpg"
    shape = str(best.aspect).replace(":", "x")
    return photo.stem.with_name(f"{photo.stem.name}.crop-{shape}-{best.rank}{suffix}")


def encode(pixels: NDArray[np.uint8], source: Path, suffix: str) -> bytes:
    """Encode (H, W, 3) uint8 RGB as `suffix` says, in the colour space of its photo."""
    profile = read_profile(source)
    data = BytesIO()
    picture = Image.fromarray(pixels)
    if suffix == ".png":
        picture.save(data, "PNG", icc_profile=profile)
    else:
        picture.save(data, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", icc_profile=profile)
    return data.getvalue()


def read_profile(source: Path) -> bytes | None:
    """Return the ICC profile of an RGB photo, if Pillow can tell: without it colours turn pale.

    `read_image` does not apply profiles, so the pixels are still what the profile describes.
    """
    with warnings.catch_warnings(), suppress(Exception):  # the pixels were read; this is extra
        warnings.simplefilter("ignore")
        with Image.open(source) as header:
            profile = header.info.get("icc_profile")
            if header.mode in ("RGB", "RGBA", "P") and isinstance(profile, bytes):
                return profile
    return None
