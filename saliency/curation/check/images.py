"""Find images that cannot be read completely, and images with equal pixels."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from saliency.errors import ImageError
from saliency.images import read_reduced

DIGEST_BYTES = 16
"""Length of a hash: two of a million different images share one with probability 1e-27."""


class ReadImage(NamedTuple):
    """The result of reading an image.

    Attributes:
        size: (height, width); None if it cannot be read.
        digest: Hash of the pixels, equal for images with equal pixels; None if it cannot be read.
        error: Why it cannot be read, or what is damaged though it can; None if it is sound.
    """

    size: tuple[int, int] | None
    digest: bytes | None
    error: str | None


def try_image(path: Path) -> ReadImage:
    """Read an image to its last pixel."""
    try:
        image, _, notes = read_reduced(path, lambda size: size)
    except ImageError as error:
        return ReadImage(None, None, str(error))
    size = image.shape[0], image.shape[1]
    content = hashlib.blake2b(repr(size).encode(), digest_size=DIGEST_BYTES)
    content.update(image.data)
    return ReadImage(size, content.digest(), f"{path}: {'; '.join(notes)}" if notes else None)


class Duplicates:
    """Finds images that are in several parts of a set. It keeps about 200 bytes for each image."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[str, str]] = {}
        self._again: dict[bytes, list[tuple[str, str]]] = defaultdict(list)

    def add(self, part: str, label: str, digest: bytes | None) -> None:
        """Record an image.

        Args:
            part: Part that it belongs to; repetitions within a part are allowed.
            label: Name of the image for messages.
            digest: Hash from `ReadImage`; None is ignored.
        """
        if digest is None:
            return
        if digest in self._first:
            self._again[digest].append((part, label))
        else:
            self._first[digest] = (part, label)

    def across_parts(self) -> list[str]:
        """Return, as text, the labels of each group of equal images that several parts share."""
        found = []
        for digest, others in self._again.items():
            places = [self._first[digest], *others]
            if len({part for part, _ in places}) > 1:
                found.append(" = ".join(label for _, label in places))
        return found
