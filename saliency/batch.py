"""A Predictor over files and folders -> pictures and one record a photo."""

from __future__ import annotations

import glob
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ImageError, SaliencyError
from saliency.files import write_atomically
from saliency.images import IMAGE_SUFFIXES, read_image
from saliency.predictor import BATCH_SIZE, Predictor
from saliency.rendering import encode_png, to_overlay, to_saliency_map
from saliency.types import Prediction

RECORDS_NAME = "predictions.jsonl"
OVERLAY_SUFFIX, MAP_SUFFIX = ".overlay.png", ".map.png"
RESULT_NAME = re.compile(r"\.(overlay|map|crop-[\d.]+x[\d.]+-\d+)\.(png|jpe?g)$")
"""Names of what this command line writes."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A file to predict and the name of what is made of it.

    Attributes:
        path: The photo.
        stem: Where its results go, relative to the output folder, without suffix.
    """

    path: Path
    stem: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo: a record, or the reason why there is none."""

    photo: Photo
    record: dict[str, object] | None
    error: str | None


def find_photos(sources: Sequence[str]) -> list[Photo]:
    """List the photos that files, folders and globs name, each once.

    A folder is searched at any depth and its layout kept in the results. Photos whose results
    would have the same name get their own suffix, then a number, in it. Maps, overlays and crops
    of an earlier run are not photos, unless a source names the file itself.

    Raises:
        SaliencyError: A source names nothing.
    """
    found: dict[Path, Path] = {}  # resolved path -> path below the output folder
    paths: dict[Path, Path] = {}
    for source in sources:
        for path, relative in _expand(source):
            key = path.resolve()
            if key not in found:
                found[key], paths[key] = relative, path
    taken = Counter(relative.with_suffix("") for relative in found.values())
    photos: list[Photo] = []
    used: set[Path] = set()
    for key, relative in found.items():
        stem = relative.with_suffix("")
        if taken[stem] > 1:
            stem = relative.with_name(relative.name.replace(".", "-"))
        numbered, number = stem, 1
        while numbered in used:
            number += 1
            numbered = stem.with_name(f"{stem.name}-{number}")
        used.add(numbered)
        photos.append(Photo(paths[key], numbered))
    return photos


def _expand(source: str) -> Iterator[tuple[Path, Path]]:
    """Yield the photos of one source, each with its place below the output folder."""
    path = Path(source)
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if is_photo(p))
        if not inside:
            raise SaliencyError(
                f"{source} should hold images ({', '.join(sorted(IMAGE_SUFFIXES))}). Found none."
            )
        for file in inside:
            yield file, file.relative_to(path)
        return
    if path.exists():
        yield path, Path(path.name)
        return
    # pathlib's own glob has no absolute patterns.
    matches = sorted(p for p in map(Path, glob.glob(source, recursive=True)) if is_photo(p))  # noqa: PTH207
    if not matches:
        raise SaliencyError(f"{source} should be an image, a folder or a glob. Found no such file.")
    for file in matches:
        yield file, Path(file.name)


def is_photo(path: Path) -> bool:
    """Return whether `path` is a visible file with an image's suffix and no result of ours."""
    return (
        path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and not RESULT_NAME.search(path.name)
        and path.is_file()
    )


def predict_files(
    predictor: Predictor,
    photos: Iterable[Photo],
    out_dir: Path,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Outcome]:
    """Predict photos and write the results.

    `<stem>.overlay.png` and the 16-bit `<stem>.map.png` of each photo go below `out_dir`, and a
    line of `predictions.jsonl` with the fields of `Prediction`. A photo that cannot be read is
    reported and does not stop the others.

    Yields:
        One outcome a photo, in order, after its files are written.

    Raises:
        OSError: The results cannot be written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    records = out_dir / RECORDS_NAME
    partial = records.with_name(f"{RECORDS_NAME}.partial")
    # Decoding, colouring and PNG compression release the interpreter, so threads share the cores.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool, partial.open("w") as lines:
        waiting = iter(photos)
        while group := list(islice(waiting, batch_size)):
            for outcome in _predict_group(predictor, group, out_dir, pool):
                if outcome.record is not None:
                    lines.write(json.dumps(outcome.record) + "\n")
                    lines.flush()
                yield outcome
    partial.replace(records)


def _predict_group(
    predictor: Predictor, photos: Sequence[Photo], out_dir: Path, pool: ThreadPoolExecutor
) -> Iterator[Outcome]:
    """Predict one batch: read in threads, forward together, write in threads."""
    images = list(pool.map(_try_read, photos))
    readable = [image for image in images if not isinstance(image, str)]
    predictions = predictor.predict_many(readable, max(1, len(readable)))
    pending: list[Future[Outcome] | Outcome] = []
    for photo, image in zip(photos, images, strict=True):
        if isinstance(image, str):
            pending.append(Outcome(photo, None, image))
        else:
            pending.append(pool.submit(_write, photo, image, next(predictions), out_dir))
    for item in pending:
        yield item.result() if isinstance(item, Future) else item


def _try_read(photo: Photo) -> NDArray[np.uint8] | str:
    """Return the photo's pixels, or why there are none."""
    try:
        return read_image(photo.path)
    except ImageError as error:
        return str(error)


def _write(
    photo: Photo, image: NDArray[np.uint8], prediction: Prediction, out_dir: Path
) -> Outcome:
    """Write the pictures of one photo and return its record."""
    record: dict[str, object] = {"image": str(photo.path), **to_fields(prediction)}
    if prediction.density is not None:
        overlay = photo.stem.with_name(f"{photo.stem.name}{OVERLAY_SUFFIX}")
        saliency_map = photo.stem.with_name(f"{photo.stem.name}{MAP_SUFFIX}")
        write_atomically(out_dir / overlay, encode_png(to_overlay(image, prediction.density)))
        write_atomically(
            out_dir / saliency_map, encode_png(to_saliency_map(prediction.density, bits=16))
        )
        record |= {"overlay": str(overlay), "map": str(saliency_map)}
    return Outcome(photo, record, None)


def to_fields(prediction: Prediction) -> dict[str, object]:
    """Return the fields of `prediction` that are numbers, under their own names, for JSON."""
    distribution = prediction.score_distribution
    return {
        "image_size": list(prediction.image_size),
        "score": prediction.score,
        "score_std": prediction.score_std,
        "score_distribution": None if distribution is None else [float(p) for p in distribution],
    }
