"""Pack a labelled set into shards that training reads fast; see `saliency.datasets.packed`."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.datasets import AvaDataset, LabelledDataset, RatingsDataset
from saliency.datasets.config import SetConfig
from saliency.datasets.packed import (
    MANIFEST,
    Manifest,
    Shard,
    is_packed,
    read_manifest,
    read_shard,
    to_members,
    write_members,
)
from saliency.datasets.sets import groups_of, open_whole_set, parts_of
from saliency.densities import resize_density
from saliency.errors import ConfigError, DatasetError, ImageError
from saliency.files import replacing, write_atomically
from saliency.locks import hold_folder
from saliency.preprocessing import resize
from saliency.rendering import to_saliency_map
from saliency.threads import map_ahead
from saliency.types import Fixations, Sample

SIZE = (384, 512)
"""(height, width) that a packed landscape image covers.

The smallest crop that training takes by default has .7 of the area and 1.18 times the proportions:
.77 of either side, 296x395 of these pixels, no fewer than the network's 288x384.
"""

QUALITY = 90
"""JPEG quality, 1..100."""

SHARD_IMAGES = 1000
"""Images in a shard: about 70 MB, and the most that a stopped run has to repeat."""

ARCHIVE_END = bytes(1024)
"""The end of a tar file: two blocks of zeros."""


@dataclass(frozen=True)
class Packed:
    """The result of packing.

    Attributes:
        folder: Folder of the packed set.
        images: Number of images.
        bytes: Size of all shards.
        skipped: Images that could not be read -> the reason.
    """

    folder: Path
    images: int
    bytes: int
    skipped: dict[str, str]


@dataclass(frozen=True)
class Source:
    """An opened set that is to be packed.

    Attributes:
        config: The set's part of the recipe.
        dataset: All its images.
        parts: train, val or test for each image, without a separate split.
        groups: Group of each image; None in a set without groups.
    """

    config: SetConfig
    dataset: LabelledDataset
    parts: tuple[str, ...]
    groups: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.dataset)

    def sha256(self) -> str:
        """Return the hash of the names, parts and order of the images."""
        text = json.dumps([self.dataset.ids, self.parts, self.groups])
        return hashlib.sha256(text.encode()).hexdigest()


def open_source(config: SetConfig, root: Path | None) -> Source:
    """Open a set to be packed.

    Raises:
        ConfigError: No root is known, or the set is drawn in code.
        DatasetError: The folder does not match its layout, or is already packed.
    """
    if root is not None and is_packed(root / (config.path or config.name)):
        raise DatasetError(
            f"`--data` should hold the set {config.name!r} in its own layout. Found it packed in "
            f"{root / (config.path or config.name)}."
        )
    dataset = open_whole_set(config, root)
    return Source(config, dataset, parts_of(dataset, config, root), groups_of(dataset))


def pack(
    source: Source,
    folder: Path,
    *,
    size: tuple[int, int] = SIZE,
    quality: int = QUALITY,
    shard_images: int = SHARD_IMAGES,
    workers: int = 1,
    on_image: Callable[[bool], None] | None = None,
) -> Packed:
    """Write a packed set, or continue one that was stopped.

    Images are shrunk to cover `size`, proportions kept, and never enlarged. A shard is complete or
    missing: it is written under a temporary name, and the file beside it, which marks it as
    complete, is written last. Complete shards are kept, so a run that was stopped continues, and
    a shard that was deleted is written again, with the same bytes.

    Images that cannot be read, or whose labels cannot, are left out and listed; once they can, the
    next run writes their shard again.

    Args:
        source: The set.
        folder: Folder to write to.
        size: (height, width) of a landscape image; a portrait image covers (width, height).
        quality: JPEG quality, 1..100.
        shard_images: Images in a shard.
        workers: Number of threads that read and shrink images.
        on_image: Called for each image, with whether an earlier run packed it.

    Raises:
        BusyError: Another process packs into `folder`.
        ConfigError: `folder` holds another set, or this one packed with other settings.
        OSError: The disk is full.
    """
    if min(size) < 1 or not 1 <= quality <= 100:
        raise ConfigError(
            "`size` should be two numbers of pixels and `quality` within 1..100. "
            f"Found {size[0]}x{size[1]} and {quality}."
        )
    manifest = Manifest(source.config.name, source.config.layout, size, quality, source.sha256())
    advance = on_image or (lambda _: None)
    shards: list[Shard] = []
    with hold_folder(folder):
        _begin(folder, manifest)
        for number, start in enumerate(range(0, len(source), shard_images)):
            indices = range(start, min(start + shard_images, len(source)))
            path = folder / f"{source.config.name}-{number:05}.tar"
            shard = _find_complete(path, source, indices)
            if shard is None:
                pack_one = partial(_pack_image, source, size, quality)
                records = map_ahead(pack_one, indices, workers)
                shard = _write_shard(path, source, indices, records, advance)
            else:
                for _ in indices:
                    advance(True)
            shards.append(shard)
        entries = [
            {"file": s.file, "images": len(s.images), "bytes": s.bytes, "sha256": s.sha256}
            for s in shards
        ]
        _write_json(folder / MANIFEST, asdict(manifest) | {"complete": True, "shards": entries})
    return Packed(
        folder,
        images=sum(len(shard.images) for shard in shards),
        bytes=sum(shard.bytes for shard in shards),
        skipped={name: why for shard in shards for name, why in shard.skipped.items()},
    )


def to_packed_size(image_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) of a packed image.

    Args:
        image_size: (height, width) of the image.
        size: (height, width) that a landscape image covers; turned for a portrait image.

    Returns:
        The smallest of the same proportions with at least as many rows and columns; the image's
        own where it has fewer.
    """
    height, width = image_size
    rows, columns = size[::-1] if height > width else size
    scale = max(rows / height, columns / width)
    if scale >= 1:
        return image_size
    # The small number keeps rounding errors from raising a whole number to the next one.
    return math.ceil(height * scale - 1e-6), math.ceil(width * scale - 1e-6)


def _begin(folder: Path, manifest: Manifest) -> None:
    """Write into `folder` what will be packed there, unless that is already known.

    Raises:
        ConfigError: Something else is packed there.
    """
    if is_packed(folder):
        found = read_manifest(folder)
        for field in ("name", "layout", "size", "quality", "source_sha256"):
            mine, its = getattr(manifest, field), getattr(found, field)
            if mine != its:
                raise ConfigError(
                    f"{folder} should be another folder, or hold this set with {field} {mine}. "
                    f"Found {its}."
                )
    _write_json(folder / MANIFEST, asdict(manifest))


def _find_complete(path: Path, source: Source, indices: Sequence[int]) -> Shard | None:
    """Return a shard that an earlier run completed.

    None if it is missing or truncated, or if an image that it lacks can be read by now.
    """
    try:
        shard = read_shard(path)
    except DatasetError:
        return None
    lacking = [index for index in indices if source.dataset.ids[index] in shard.skipped]
    if len(shard.images) + len(lacking) != len(indices):
        return None
    return None if any(_is_readable(source, index) for index in lacking) else shard


def _is_readable(source: Source, index: int) -> bool:
    try:
        source.dataset[index]
    except (DatasetError, ImageError):
        return False
    return True


def _pack_image(
    source: Source, size: tuple[int, int], quality: int, index: int
) -> bytes | DatasetError | ImageError:
    """Return the bytes of one image in a shard, or the error that prevents it."""
    try:
        sample = source.dataset[index]
    except (DatasetError, ImageError) as error:
        return error
    original = sample.image.shape[0], sample.image.shape[1]
    packed = to_packed_size(original, size)
    facts: dict[str, Any] = {
        "image": sample.image_id,
        "part": source.parts[index],
        "size": original,
    }
    if source.groups is not None:
        facts["group"] = source.groups[index]
    if isinstance(source.dataset, AvaDataset | RatingsDataset):
        rating = source.dataset.rating(index)._asdict()
        facts["rating"] = {name: value for name, value in rating.items() if value is not None}
    if isinstance(source.dataset, RatingsDataset):
        facts["further"] = source.dataset.further(index)
    members = to_members(
        _to_jpeg(resize(sample.image, packed), quality),
        facts,
        _scale(sample.fixations, original, packed),
        _own_map(source, sample, packed),
    )
    return write_members(f"{index:08}", members)


def _own_map(source: Source, sample: Sample, size: tuple[int, int]) -> NDArray[np.uint16] | None:
    """Return the set's own map; None in sets whose density follows from fixations.

    It has half the size: it is blurred by many pixels, and decodes four times as fast.
    """
    if source.config.layout != "salicon" or sample.density is None:
        return None
    half = max(1, size[0] // 2), max(1, size[1] // 2)
    return to_saliency_map(resize_density(sample.density, half), bits=16)


def _to_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    # Full colour resolution: shrunk images are sharp, and halving it would cost more than lowering
    # the quality by five.
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling]
    return cv2.imencode(".jpg", pixels, settings)[1].tobytes()


def _scale(
    fixations: Fixations | None, original: tuple[int, int], packed: tuple[int, int]
) -> Fixations | None:
    """Return the points in pixels of the packed image."""
    if fixations is None:
        return None
    (height, width), (rows, columns) = original, packed
    # Rounding may put a point on the far edge, which is outside.
    return Fixations(
        np.minimum(fixations.xs * np.float32(columns / width), np.nextafter(columns, 0, dtype="f")),
        np.minimum(fixations.ys * np.float32(rows / height), np.nextafter(rows, 0, dtype="f")),
    )


def _write_shard(
    path: Path,
    source: Source,
    indices: Sequence[int],
    records: Iterator[bytes | DatasetError | ImageError],
    advance: Callable[[bool], None],
) -> Shard:
    """Write one shard, then the file that describes it."""
    sha256 = hashlib.sha256()
    kept: list[int] = []
    offsets, lengths, crc32 = [], [], []
    skipped: dict[str, str] = {}
    position = 0
    path.with_suffix(".json").unlink(missing_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:

        def append(data: bytes) -> None:
            nonlocal position
            file.write(data)
            sha256.update(data)
            position += len(data)

        for index, record in zip(indices, records, strict=True):
            if isinstance(record, bytes):
                kept.append(index)
                offsets.append(position)
                lengths.append(len(record))
                crc32.append(zlib.crc32(record))
                append(record)
            else:
                skipped[source.dataset.ids[index]] = str(record)
            advance(False)
        append(ARCHIVE_END)
    shard = Shard(
        file=path.name,
        bytes=position,
        sha256=sha256.hexdigest(),
        images=tuple(source.dataset.ids[index] for index in kept),
        parts=tuple(source.parts[index] for index in kept),
        groups=() if source.groups is None else tuple(source.groups[index] for index in kept),
        offsets=tuple(offsets),
        lengths=tuple(lengths),
        crc32=tuple(crc32),
        skipped=skipped,
    )
    _write_json(path.with_suffix(".json"), asdict(shard))
    return shard


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(values).encode())
