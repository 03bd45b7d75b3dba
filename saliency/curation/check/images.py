"""Whether images can be read to their last pixel, and which show the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from saliency.errors import ImageError
from saliency.images import read_image

DIGEST_BYTES = 16
"""Of a content's hash: two of a million different images share one with probability 1e-27."""


class ReadImage(NamedTuple):
    """What reading an image told.

    Attributes:
        size: (height, width); None if it cannot be read.
        digest: Equal for images of equal pixels, whatever their files; None if it cannot be read.
        error: Why it cannot be read, or None.
    """

    size: tuple[int, int] | None
    digest: bytes | None
    error: str | None


def try_image(path: Path) -> ReadImage:
    """Read an image to its last pixel."""
    try:
        image = read_image(path)
    except ImageError as error:
        return ReadImage(None, None, str(error))
    size = image.shape[0], image.shape[1]
    content = hashlib.blake2b(repr(size).encode(), digest_size=DIGEST_BYTES)
    content.update(image.data)
    return ReadImage(size, content.digest(), None)


class Duplicates:
    """Finds images that are in several parts of a set. It keeps some 200 bytes an image."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[str, str]] = {}
        self._again: dict[bytes, list[tuple[str, str]]] = defaultdict(list)

    def add(self, part: str, label: str, digest: bytes | None) -> None:
        """Take note of an image.

        Args:
            part: Where it belongs; in one part it may be as often as it likes.
            label: What to call it.
            digest: Of `ReadImage`; None is passed over.
        """
        if digest is None:
            return
        if digest in self._first:
            self._again[digest].append((part, label))
        else:
            self._first[digest] = (part, label)

    def across_parts(self) -> list[str]:
        """Return the labels of each content that more than one part has, as text."""
        found = []
        for digest, others in self._again.items():
            places = [self._first[digest], *others]
            if len({part for part, _ in places}) > 1:
                found.append(" = ".join(label for _, label in places))
        return found
