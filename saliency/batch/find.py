"""Files, folders, globs and lists -> the photos that they name."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from saliency.errors import SaliencyError
from saliency.images import IMAGE_SUFFIXES

STDIN = "-"
"""The source that stands for a list of paths on standard input."""

RESULT_NAME = re.compile(r"\.(overlay|map|crop-[\d.]+x[\d.]+-\d+)\.(png|jpe?g)$")
"""Names of what this command line writes."""


class Found(NamedTuple):
    """A file that a source names.

    Attributes:
        path: As it was named.
        place: Below the folder that was named: where its results go, with its suffix.
    """

    path: str
    place: str


def find_files(sources: Sequence[str], *, required: bool = True) -> Iterator[Found]:
    """List what files, folders, globs and `-` name, in order; a file may come more than once.

    A folder is searched at any depth, names in order; links to folders are not followed, so there
    are no loops. Hidden files and the maps, overlays and crops of an earlier run are no photos,
    unless a source names the file itself. A folder that cannot be listed comes in place of what is
    in it, so that reading it fails and says so. `-` reads paths from standard input, one a line or
    with NUL between them.

    Args:
        sources: What the user typed.
        required: Whether each source should name something now.

    Raises:
        SaliencyError: A source names nothing.
    """
    for source in sources:
        something = False
        for found in _expand(source):
            something = True
            yield found
        if required and not something:
            raise SaliencyError(_nothing(source))


def check_sources(sources: Sequence[str]) -> None:
    """Refuse what can never name a photo, so that a typing error is not watched for hours.

    Raises:
        SaliencyError: A source is no file, folder or glob.
    """
    for source in sources:
        if source == STDIN or not (Path(source).exists() or _is_pattern(source)):
            raise SaliencyError(
                f"What is watched should be a folder, a file or a glob. Found {source}."
            )


def _expand(source: str) -> Iterator[Found]:
    path = Path(source)
    if source == STDIN:
        yield from _read_list(sys.stdin.buffer.read())
    elif path.is_dir():
        yield from _list_folder(str(path))
    elif path.exists():
        yield Found(str(path), path.name)
    else:
        yield from _list_glob(path)


def _nothing(source: str) -> str:
    if source == STDIN:
        return "The list on standard input should name images. Found nothing."
    if Path(source).is_dir():
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        return f"{source} should hold images ({suffixes}). Found none."
    return f"{source} should be an image, a folder or a glob. Found no such file."


def _list_folder(folder: str) -> Iterator[Found]:
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if is_folder:
            try:
                with os.scandir(path) as entries:
                    inside = [
                        (entry.path, entry.is_dir(follow_symlinks=False))
                        for entry in entries
                        if _is_wanted(entry)
                    ]
            except OSError:
                is_folder = False  # reading it will say why
            else:
                waiting += sorted(inside, reverse=True)
        if not is_folder:
            yield Found(path, os.path.relpath(path, folder))


def _is_wanted(entry: os.DirEntry[str]) -> bool:
    """Return whether `entry` is a visible folder or may be a photo."""
    if entry.name.startswith("."):
        return False
    if entry.is_dir(follow_symlinks=False):
        return True
    if not _has_photo_name(entry.name):
        return False
    # A link that leads nowhere counts, so that it is named; one to a folder does not.
    is_link = entry.is_symlink() and not os.path.isdir(entry.path)  # noqa: PTH112
    return is_link or entry.is_file(follow_symlinks=False)


def _has_photo_name(name: str) -> bool:
    suffix = os.path.splitext(name)[1]  # noqa: PTH122 (a Path for each file takes longer)
    return suffix.lower() in IMAGE_SUFFIXES and not RESULT_NAME.search(name)


def _list_glob(pattern: Path) -> Iterator[Found]:
    fixed = Path(*takewhile(lambda part: not _is_pattern(part), pattern.parts))
    wanted = pattern.relative_to(fixed)
    if not wanted.parts:
        return
    # Not glob.glob, which follows links to folders, round and round.
    try:
        matches = sorted(fixed.glob(str(wanted)))
    except ValueError as error:
        raise SaliencyError(
            f"{pattern} should be a glob such as photos/**/*.jpg: {error}"
        ) from error
    for match in matches:
        place = match.relative_to(fixed)
        hidden = any(part.startswith(".") for part in place.parts)
        if not hidden and _has_photo_name(match.name) and match.is_file():
            yield Found(str(match), str(place))


def _is_pattern(text: str) -> bool:
    return re.search(r"[*?\[]", text) is not None


def _read_list(data: bytes) -> Iterator[Found]:
    separator = b"\0" if b"\0" in data else b"\n"
    for line in data.split(separator):
        if name := line.removesuffix(b"\r"):
            path = os.fsdecode(name)
            place = _keep_folders(path)
            if Path(path).is_dir():
                for found in _list_folder(path):
                    yield Found(found.path, os.path.join(place, found.place))  # noqa: PTH118
            else:
                yield Found(path, place)


def _keep_folders(path: str) -> str:
    """Return `path` as seen from here, without the steps up: it has to stay below the results."""
    parts = Path(os.path.relpath(path)).parts
    return str(Path(*(part for part in parts if part != os.pardir)))
