"""Files, folders, globs and lists -> the photos that they name."""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from saliency.batch.journal import JOURNAL_NAME, list_pictures
from saliency.batch.marks import is_marked
from saliency.batch.passed_over import PassedOver
from saliency.errors import SaliencyError
from saliency.images import IMAGE_SUFFIXES

STDIN = "-"
"""The source that stands for a list of paths on standard input."""

RESULT_NAME = re.compile(r"\.(overlay|map|crop-[\d.]+x[\d.]+-\d+)\.(png|jpe?g)$")
"""Names that this program gives to its results; other people's files may have such names too."""

OTHERS_FOLDERS = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot"),
        *("$recycle.bin", "system volume information", "lost+found", "__macosx"),
    }
)
"""Thumbnails, bins and the like that network drives and systems put among photos, in lower case."""


class Found(NamedTuple):
    """A file that a source names.

    Attributes:
        path: The path as it was named.
        place: The path below the folder that was named, with suffix; results mirror it.
    """

    path: str
    place: str


def find_files(
    sources: Sequence[str], *, required: bool = True, passed_over: PassedOver | None = None
) -> Iterator[Found]:
    """List the files that sources name, in order; a file may come more than once.

    A folder is searched at any depth, names in order; links to folders are not followed, so there
    are no loops. Hidden files and folders, folders of thumbnails and bins, and the maps, overlays
    and crops of an earlier run are ignored, unless a source names the file itself. A folder that
    cannot be listed is yielded in place of its files, so that reading it fails with a message.
    `-` reads paths from standard input, one per line or with NUL between them.

    Args:
        sources: Files, folders, globs and `-`, as the user typed them.
        required: Whether a source that names nothing is an error.
        passed_over: Counts the files and folders that are ignored.

    Raises:
        SaliencyError: A source names nothing.
    """
    passed = PassedOver() if passed_over is None else passed_over
    for source in sources:
        if not source:  # as of a shell's variable that is not set; Path("") is the current folder
            raise SaliencyError("A source should be a photo, a folder or a glob. Found no text.")
        something = False
        for found in _expand(source, passed):
            something = True
            yield found
        if required and not something:
            raise SaliencyError(_nothing(source, passed))


def check_sources(sources: Sequence[str]) -> None:
    """Refuse sources that can never name a photo, so that nobody watches a misspelt name for hours.

    Raises:
        SaliencyError: A source is neither a file, a folder nor a glob.
    """
    for source in sources:
        if source == STDIN or not (_may_exist(Path(source)) or _is_pattern(source)):
            raise SaliencyError(
                f"A watched source should be a folder, a file or a glob. Found {source}."
            )


def _expand(source: str, passed: PassedOver) -> Iterator[Found]:
    path = Path(source)
    if source == STDIN:
        yield from _read_list(sys.stdin.buffer.read(), passed)
    elif os.path.isdir(path):  # noqa: PTH112 (a Path raises errors of permission)
        yield from _list_folder(str(path), passed)
    elif _may_exist(path):
        yield Found(str(path), path.name)
    else:
        yield from _list_glob(path, passed)


def _may_exist(path: Path) -> bool:
    """Return whether there is such a file, or nobody can tell: then reading it says why."""
    try:
        return path.exists()
    except PermissionError:
        return not _is_pattern(str(path))


def _nothing(source: str, passed: PassedOver) -> str:
    if source == STDIN:
        return "The list on standard input should name images. Found nothing."
    if Path(source).is_dir():
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        ignored = passed.describe()
        found = f"none, but what is ignored: {ignored}" if ignored else "none"
        return f"{source} should hold images ({suffixes}). Found {found}."
    return f"{source} should be an image, a folder or a glob. Found no such file."


def _list_folder(folder: str, passed: PassedOver) -> Iterator[Found]:
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if is_folder:
            try:
                with os.scandir(path) as entries:
                    inside = [
                        (entry.path, entry.is_dir(follow_symlinks=False))
                        for entry in entries
                        if _is_wanted(entry, passed)
                    ]
            except OSError:
                is_folder = False  # reading it raises the error that says why
            else:
                waiting += sorted(inside, reverse=True)
        if not is_folder:
            yield Found(path, _place_in(folder, path))


def _place_in(folder: str | Path, path: str | Path) -> str:
    """Return the place of `path` below `folder`; its own name if it is the folder itself."""
    place = os.path.relpath(path, folder)
    return Path(path).resolve().name if place == os.curdir else place


def _is_wanted(entry: os.DirEntry[str], passed: PassedOver) -> bool:
    """Return whether `entry` is a folder to search or may be a photo; count it otherwise."""
    if entry.is_dir(follow_symlinks=False):
        if not _is_others_folder(entry.name):
            return True
        passed.folders[entry.name] += 1
        return False
    # A broken link is kept, so that it is reported; a link to a folder is not followed.
    if entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
        passed.links += 1
        return False
    if not _may_be_photo(entry.path, passed):
        return False
    is_file = entry.is_symlink() or entry.is_file(follow_symlinks=False)
    passed.devices += not is_file
    return is_file


def _is_others_folder(name: str) -> bool:
    return name.startswith(".") or name.lower() in OTHERS_FOLDERS


def _may_be_photo(path: str, passed: PassedOver) -> bool:
    """Return whether a file may be a photo by its name; count it otherwise."""
    name = os.path.basename(path)  # noqa: PTH119 (a Path for each file takes longer)
    if name.startswith("."):
        passed.hidden += 1
    elif os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES:  # noqa: PTH122
        passed.add_file(name)
    elif RESULT_NAME.search(name) and _is_result(path):
        passed.results += 1
    else:
        return True
    return False


def _is_result(path: str) -> bool:
    """Return whether this program wrote a file that is named like a result.

    Pictures carry a mark. Unmarked ones of older versions are in their folder's journal. Crops of
    older versions have neither; their kind of name is taken as proof.
    """
    if ".crop-" in os.path.basename(path) or is_marked(path):  # noqa: PTH119
        return True
    real_path = Path(path).resolve()
    for folder in real_path.parents:
        journal = folder / JOURNAL_NAME
        if journal.is_file():
            return str(real_path) in _list_results(folder, journal.stat().st_size)
    return False


@lru_cache(maxsize=4)
def _list_results(out_dir: Path, journal_size: int) -> frozenset[str]:
    """Return absolute paths of a journal's pictures; cached until the journal's size changes."""
    try:
        return frozenset(str(out_dir / file) for file in list_pictures(out_dir))
    except (OSError, SaliencyError):
        return frozenset()


def _list_glob(pattern: Path, passed: PassedOver) -> Iterator[Found]:
    fixed, wanted = _split_pattern(pattern)
    if not wanted.parts:
        return
    # Not glob.glob, which follows links to folders and can so go round in circles.
    try:
        unreadable = set(_list_unreadable(fixed, wanted))
        matches = sorted({*fixed.glob(str(wanted)), *unreadable})
    except PermissionError:  # the folder that the glob begins in
        yield Found(str(fixed), _place_in(fixed, fixed))
        return
    except ValueError as error:
        raise SaliencyError(
            f"{pattern} should be a glob such as photos/**/*.jpg: {error}"
        ) from error
    for match in matches:
        place = match.relative_to(fixed)
        others = [part for part in place.parts[:-1] if _is_others_folder(part)]
        if others:
            passed.folders[others[0]] += 1
        elif match in unreadable:
            yield Found(str(match), _place_in(fixed, match))
        elif os.path.isdir(match):  # noqa: PTH112 (see above)
            if "**" not in wanted.parts:
                passed.folders[match.name] += 1
        elif os.path.exists(match) and not match.is_file():  # noqa: PTH110
            passed.devices += 1
        elif _may_be_photo(str(match), passed):
            yield Found(str(match), str(place))


def _list_unreadable(fixed: Path, wanted: Path) -> Iterator[Path]:
    """Yield the folders that a glob would search but cannot list: `Path.glob` ignores them."""
    errors: list[OSError] = []
    deepest = sys.maxsize if "**" in wanted.parts else len(wanted.parts) - 1
    for folder, names, _ in os.walk(fixed, onerror=errors.append):
        depth = len(Path(folder).relative_to(fixed).parts)
        names[:] = [name for name in names if not _is_others_folder(name)]
        if depth >= deepest:
            names.clear()
        elif deepest < sys.maxsize:
            names[:] = [name for name in names if Path(name).match(wanted.parts[depth])]
    for error in errors:
        if isinstance(error, PermissionError):
            yield Path(error.filename)


def _split_pattern(pattern: Path) -> tuple[Path, Path]:
    """Return the folder to search and the pattern below it.

    A name such as `trip [2024]` may be a folder; it is one if it exists.
    """
    parts = pattern.parts
    count = next((n for n, part in enumerate(parts) if _is_pattern(part)), len(parts))
    # os.path, because a Path raises errors of permission.
    while count < len(parts) - 1 and os.path.isdir(Path(*parts[: count + 1])):  # noqa: PTH112
        count += 1
        while count < len(parts) and not _is_pattern(parts[count]):
            count += 1
    return Path(*parts[:count]), Path(*parts[count:])


def _is_pattern(text: str) -> bool:
    return re.search(r"[*?\[]", text) is not None


def _read_list(data: bytes, passed: PassedOver) -> Iterator[Found]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes it
        data = _from_utf16(data)
    data = data.removeprefix(codecs.BOM_UTF8)
    # Read as NUL-separated names, "/" would be one of them: the whole disk.
    if max(data[::2].count(0), data[1::2].count(0)) > 0.45 * len(data):
        raise SaliencyError(
            "The list on standard input should be UTF-8. Found UTF-16 without a byte order mark."
        )
    separator = b"\0" if b"\0" in data else b"\n"
    for line in data.split(separator):
        if name := line.removesuffix(b"\r"):
            path = os.fsdecode(name)
            place = _keep_folders(path)
            if Path(path).is_dir():
                for found in _list_folder(path, passed):
                    yield Found(found.path, os.path.join(place, found.place))  # noqa: PTH118
            else:
                yield Found(path, place)


def _from_utf16(data: bytes) -> bytes:
    try:
        return data.decode("utf-16").encode()
    except UnicodeDecodeError as error:
        raise SaliencyError(f"The list on standard input is damaged UTF-16: {error}.") from error


def _keep_folders(path: str) -> str:
    """Return `path` relative to the current folder, without `..`, so that it can mirror it."""
    parts = Path(os.path.relpath(path)).parts
    return str(Path(*(part for part in parts if part != os.pardir)))
