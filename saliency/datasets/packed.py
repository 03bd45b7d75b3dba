"""Packed sets: images at the size that training needs, in a few large files with their labels.

`saliency.curation.pack` writes them. A folder holds::

    manifest.json           what was packed and how; SHA-256 of every shard
    NAME-00000.tar          a shard, in the layout of WebDataset: members of one image share a key
        00000000.jpg            the image
        00000000.json           its name, part, group, original size, rating and further columns
        00000000.fixations.npy  (N, 2) float32 [x, y] in pixels of the packed image, if it has any
        00000000.density.png    16 bits, half as high and wide, if the set has maps of its own
    NAME-00000.json         where each image of that shard begins, and a CRC-32 of its members

The members of an image are adjacent, so that one read of a range of bytes, which is a small tar by
itself, fetches them all; images can be read in any order.

With the same seed, a packed image gets other random crops than its original: places are drawn in
pixels, and the number of pixels also decides which random numbers follow for mirroring and colours.
The distribution is the same, so a run on a packed set compares with one on the folder as a run with
another seed does. Places drawn as shares of the image would match, but would change earlier runs.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.attributes import Attribute
from saliency.datasets.base import keep_inside
from saliency.datasets.ratings import to_labels
from saliency.datasets.score_bins import Rating
from saliency.densities import normalize_density, resize_density
from saliency.errors import DatasetError, ImageDecodeError
from saliency.fixations import to_density
from saliency.images import read_image
from saliency.types import Fixations, Sample

MANIFEST = "manifest.json"

VERSION = 1
"""Version of this format."""

PACK_AGAIN = "Delete it and run the same `saliency data pack` again, which writes it alone."


@dataclass(frozen=True)
class Shard:
    """Contents of one shard: the file `<shard>.json` beside it.

    Attributes:
        file: File name.
        bytes: Length of the file.
        sha256: SHA-256 of the whole file.
        images: Names of its images.
        parts: Part of each image: train, val or test.
        groups: Group of each image, in a set that has groups; else empty.
        offsets: First byte of the members of each image.
        lengths: Number of bytes of the members of each image.
        crc32: CRC-32 of these bytes.
        skipped: Images that belong here and could not be read -> the reason.
    """

    file: str
    bytes: int
    sha256: str
    images: tuple[str, ...]
    parts: tuple[str, ...]
    groups: tuple[str, ...]
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    crc32: tuple[int, ...]
    skipped: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """Description of a packed set: `manifest.json`.

    Attributes:
        name: Name of the set.
        layout: Layout that it was packed from.
        size: (height, width) that a landscape image was shrunk to cover.
        quality: JPEG quality, 1..100.
        source_sha256: SHA-256 of the names, parts and order of the images.
        complete: Whether all shards exist.
        shards: Name, images, bytes and SHA-256 of each, once complete.
        version: Version of the format.
    """

    name: str
    layout: str
    size: tuple[int, int]
    quality: int
    source_sha256: str
    complete: bool = False
    shards: tuple[dict[str, Any], ...] = ()
    version: int = VERSION


def is_packed(root: Path) -> bool:
    """Return whether a folder holds a packed set."""
    return (root / MANIFEST).is_file()


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of a packed set.

    Raises:
        DatasetError: If the file is damaged or of another version.
    """
    values = _read_json(root / MANIFEST)
    try:
        manifest = Manifest(**values)
    except TypeError as error:
        raise DatasetError(
            f"{root / MANIFEST} should be the manifest of a packed set. Found: {error}"
        ) from error
    if manifest.version != VERSION:
        raise DatasetError(
            f"{root / MANIFEST} should be of version {VERSION}. Found {manifest.version}; pack the "
            "set again."
        )
    size = (manifest.size[0], manifest.size[1])
    return Manifest(**{**values, "size": size, "shards": tuple(manifest.shards)})


def read_shard(path: Path) -> Shard:
    """Read the description of the shard `path`, without opening the shard itself.

    Raises:
        DatasetError: If the file beside it is missing or damaged, or the shard has another length.
    """
    values = _read_json(path.with_suffix(".json"))
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    try:
        shard = Shard(**(values | lists))
    except TypeError as error:
        raise DatasetError(
            f"{path.with_suffix('.json')} should describe what {path.name} holds. Found: {error}"
        ) from error
    if not path.is_file():
        raise DatasetError(f"Expected the shard {path}. Found no such file.")
    if path.stat().st_size != shard.bytes:
        raise DatasetError(
            f"{path} should have {shard.bytes} bytes. Found {path.stat().st_size}. {PACK_AGAIN}"
        )
    return shard


class PackedDataset:
    """A packed set, read image by image.

    Each image's CRC-32 is checked when it is read; `saliency data check --packed` checks SHA-256.
    The density is that of the set's own maps, or else all viewers' fixations blurred by a Gaussian
    of `fixations.SIGMA_SHARE` times the longer side, as in the layout it was packed from.

    Attributes:
        name: Name of the set in its samples.
        layout: Layout that it was packed from.
        ids: File names.
        parts: train, val or test for each image, where no split says otherwise.
        groups: Group of each image; empty in a set without groups.
    """

    def __init__(
        self,
        root: Path,
        name: str = "packed",
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """Read the descriptions of the shards; images are read on access.

        Args:
            root: Folder that `saliency data pack` wrote.
            name: Name of the set in its samples.
            attributes: Column of the ratings' CSV -> the attribute that it holds.

        Raises:
            DatasetError: If packing was not finished, or a file is missing or damaged.
        """
        self.name = name
        self._attributes = attributes or {}
        manifest = read_manifest(Path(root))
        if not manifest.complete:
            raise DatasetError(
                f"{root} should be packed completely. Found a part of it; run the same "
                "`saliency data pack` again, which continues where it stopped."
            )
        self.layout = manifest.layout
        self._paths = tuple(Path(root) / entry["file"] for entry in manifest.shards)
        shards = [read_shard(path) for path in self._paths]
        self.ids = tuple(image for shard in shards for image in shard.images)
        self.parts = tuple(part for shard in shards for part in shard.parts)
        self.groups = tuple(group for shard in shards for group in shard.groups)
        self._shard_of = np.repeat(np.arange(len(shards)), [len(shard.images) for shard in shards])
        self._offsets, self._lengths, self._crc32 = (
            np.array([value for shard in shards for value in getattr(shard, field)], np.int64)
            for field in ("offsets", "lengths", "crc32")
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        """Read one image with its labels.

        Raises:
            ImageDecodeError: If the shard is damaged there; other images may be intact.
            DatasetError: If the shard cannot be read at all, or holds none of the columns that
                attributes are read from.
        """
        members = self._read_members(index)
        image = read_image(members["jpg"])
        size = image.shape[:2]
        fixations = density = None
        if "fixations.npy" in members:
            points = np.load(BytesIO(members["fixations.npy"]), allow_pickle=False)
            fixations = keep_inside(points[:, 0], points[:, 1], size)
        if "density.png" in members:
            density = resize_density(_read_density(members["density.png"]), size)
        elif fixations is not None:
            density = to_density(fixations, size)
        facts = json.loads(members["json"])
        rating = to_rating(facts)
        if self._attributes and "further" not in facts:
            raise DatasetError(
                f"The packed set {self.name!r} should hold the further columns of its ratings, for "
                "`data.attributes`. Found none; delete the packed set and pack it again."
            )
        return Sample(
            image,
            self.name,
            self.ids[index],
            fixations=fixations,
            density=density,
            score_distribution=None if rating is None else rating.to_distribution(),
            attributes=to_labels(facts.get("further", {}), self._attributes),
        )

    def rating(self, index: int) -> Rating | None:
        """Return the rating of one image, None in a set without ratings.

        Raises:
            ImageDecodeError: If the shard is damaged there.
            DatasetError: If the shard cannot be read at all.
        """
        return to_rating(json.loads(self._read_members(index)["json"]))

    def _read_members(self, index: int) -> dict[str, bytes]:
        """Return the members of one image by their name without the key."""
        path = self._paths[self._shard_of[index]]
        offset, length = int(self._offsets[index]), int(self._lengths[index])
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise DatasetError(
                f"The shard {path} should be readable. Found: {error.strerror or error}."
            ) from error
        if len(data) != length or zlib.crc32(data) != self._crc32[index]:
            raise ImageDecodeError(
                f"The shard {path} is damaged at {self.ids[index]} (byte {offset}): its checksum "
                f"differs. {PACK_AGAIN}"
            )
        return read_members(data)


def read_members(data: bytes) -> dict[str, bytes]:
    """Return the members of one image by the part of their names after the first dot.

    Args:
        data: The bytes of a shard that hold them.
    """
    members = {}
    with tarfile.open(fileobj=BytesIO(data), mode="r:") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                members[member.name.split(".", 1)[1]] = content.read()
    return members


def to_members(
    image: bytes,
    facts: dict[str, Any],
    fixations: Fixations | None,
    density: NDArray[np.uint16] | None,
) -> dict[str, bytes]:
    """Return the members of one image by their name without the key.

    Args:
        image: A JPEG.
        facts: Values of its `.json`.
        fixations: Fixations, in pixels of the image.
        density: (H, W) on any scale; None if it follows from fixations or is unknown.
    """
    members = {"jpg": image, "json": json.dumps(facts).encode()}
    if fixations is not None:
        file = BytesIO()
        np.save(file, np.stack(fixations, axis=1), allow_pickle=False)
        members["fixations.npy"] = file.getvalue()
    if density is not None:
        members["density.png"] = cv2.imencode(".png", density)[1].tobytes()
    return members


def write_members(key: str, members: dict[str, bytes]) -> bytes:
    """Return the bytes of a shard that hold the members of one image.

    The same members always give the same bytes.
    """
    file = BytesIO()
    archive = tarfile.open(fileobj=file, mode="w:", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
    for extension, content in members.items():
        member = tarfile.TarInfo(f"{key}.{extension}")
        member.size = len(content)
        archive.addfile(member, BytesIO(content))
    return file.getvalue()  # not closed: the end mark of the archive follows the last image


def to_rating(facts: dict[str, Any]) -> Rating | None:
    """Return the rating in a `.json` member, None if it has none."""
    if "rating" not in facts:
        return None
    values = facts["rating"]
    votes = values.get("votes")
    return Rating(
        values["low"],
        values["high"],
        None if votes is None else tuple(votes),
        values.get("score"),
    )


def _read_density(data: bytes) -> NDArray[np.float32]:
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return normalize_density(np.asarray(values, np.float32))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"Expected {path}. Found no such file.") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} should be JSON. Found: {error}. {PACK_AGAIN}") from error
    if not isinstance(values, dict):
        raise DatasetError(f"{path} should be a JSON object. Found {type(values).__name__}.")
    return values
