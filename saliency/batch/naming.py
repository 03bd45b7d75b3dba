"""Names for the results of photos: they mirror the folders, and no two photos share one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count
from pathlib import Path

from saliency.batch.find import Found, find_files
from saliency.batch.passed_over import PassedOver


@dataclass(frozen=True, slots=True)
class Photo:
    """A file to predict and the name of its results.

    The fields are plain strings, since a folder may have a million photos.

    Attributes:
        file: The photo, as it was named.
        name: Name of its results, relative to the output folder, without suffix.
        real_path: Absolute path of the file, with links resolved.
    """

    file: str
    name: str
    real_path: str

    @property
    def path(self) -> Path:
        """The photo, as it was named."""
        return Path(self.file)

    @property
    def stem(self) -> Path:
        """Path of its results, relative to the output folder, without suffix."""
        return Path(self.name)


def find_photos(sources: Sequence[str], passed_over: PassedOver | None = None) -> list[Photo]:
    """List the photos that sources name, each once.

    Args:
        sources: Files, folders, globs and `-`, as the user typed them.
        passed_over: Counts the files and folders that are ignored.

    Raises:
        SaliencyError: A source names nothing.
    """
    return name_photos(find_files(sources, passed_over=passed_over))


def name_photos(found: Iterable[Found], owners: Mapping[str, str] | None = None) -> list[Photo]:
    """Give the results of every file a name of their own; a file that is named twice comes once.

    Photos that differ only in their suffix get the suffix in the name, and if that is taken, a
    number. A photo keeps the name that an earlier run gave it. The name of a photo that is gone
    goes to a photo of the same file name, so that a folder which has moved keeps its results.

    Args:
        found: Files and their places.
        owners: Names of earlier runs, and the real path of the photo that has each.
    """
    files: dict[str, Found] = {}
    to_real_folder = lru_cache(maxsize=64)(os.path.realpath)  # once per folder, not per file
    for one in found:
        files.setdefault(_to_real_path(one.path, to_real_folder), one)
    holders = {_fold(name): path for name, path in (owners or {}).items()}
    plain_names = Counter(_fold(_drop_suffix(one.place)) for one in files.values())

    def is_free(name: str, real_path: str) -> bool:
        holder = holders.get(_fold(name))
        if holder is None or holder == real_path:
            return True
        moved = os.path.basename(holder) == os.path.basename(real_path)  # noqa: PTH119
        return moved and holder not in files and not os.path.lexists(holder)

    photos = []
    for real_path, (file, place) in files.items():
        plain, dashed = _drop_suffix(place), _dash_suffix(place)
        earlier = [name for name in (plain, dashed) if holders.get(_fold(name)) == real_path]
        first = [plain] if plain_names[_fold(plain)] == 1 else []
        names = chain(earlier, first, _number(dashed))
        name = next(name for name in names if is_free(name, real_path))
        holders[_fold(name)] = real_path
        photos.append(Photo(file, name, real_path))
    return photos


def _drop_suffix(place: str) -> str:
    return str(Path(place).with_suffix(""))


def _dash_suffix(place: str) -> str:
    path = Path(place)
    return str(path.with_name(path.name.replace(".", "-")))


def _number(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def _fold(name: str) -> str:
    """Return a key that is equal for names that some file systems cannot tell apart."""
    return name.casefold()


def _to_real_path(path: str, to_real_folder: Callable[[str], str]) -> str:
    folder, name = os.path.split(path)
    real_path = os.path.join(to_real_folder(folder), name)  # noqa: PTH118
    # Only links and names such as ".." need the slow way.
    if name in ("", os.curdir, os.pardir) or os.path.islink(real_path):  # noqa: PTH114
        return os.path.realpath(path)
    return real_path
