"""Which results belong to which photo: names that mirror the folders and keep apart."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count
from pathlib import Path

from saliency.batch.find import Found, find_files


@dataclass(frozen=True, slots=True)
class Photo:
    """A file to predict and the name of what is made of it.

    Plain strings: a folder may have a million of them.

    Attributes:
        file: The photo, as it was named.
        name: Where its results go, relative to the output folder, without suffix.
        real_path: The file behind links, absolute.
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
        """Where its results go, relative to the output folder, without suffix."""
        return Path(self.name)


def find_photos(sources: Sequence[str]) -> list[Photo]:
    """List the photos that files, folders, globs and `-` name, each once.

    Raises:
        SaliencyError: A source names nothing.
    """
    return name_photos(find_files(sources))


def name_photos(found: Iterable[Found], owners: Mapping[str, str] | None = None) -> list[Photo]:
    """Give every file a name of its own for its results; a file named twice comes once.

    Photos that differ in their suffix alone get it in the name, then a number. A name that an
    earlier run gave stays with its photo; that of a photo which is gone goes to one of the same
    file name, so a folder that has moved keeps its results.

    Args:
        found: Files and their places.
        owners: Name -> real path of the photo that has it, from earlier runs.
    """
    files: dict[str, Found] = {}
    to_real_folder = lru_cache(maxsize=64)(os.path.realpath)  # asked once a folder, not a file
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
    """Return what is equal for names that some file systems cannot tell apart."""
    return name.casefold()


def _to_real_path(path: str, to_real_folder: Callable[[str], str]) -> str:
    folder, name = os.path.split(path)
    real_path = os.path.join(to_real_folder(folder), name)  # noqa: PTH118
    # Only a link needs the slow way; so does a name like "..".
    if name in ("", os.curdir, os.pardir) or os.path.islink(real_path):  # noqa: PTH114
        return os.path.realpath(path)
    return real_path
