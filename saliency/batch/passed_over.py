"""The files and folders that a search for photos ignored, to be named at its end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

SHOWN = 8
"""Largest number of suffixes, and of folders, that are named; the others are counted."""


@dataclass
class PassedOver:
    """Counts of what was ignored.

    Attributes:
        suffixes: Files whose suffix is not a photo's, by suffix in lower case; "" is no suffix.
        folders: Hidden folders and those of other programs (thumbnails, recycle bins), by name.
        hidden: Files whose name begins with a dot.
        results: Maps, overlays and crops of an earlier run.
        links: Links to folders, which are not followed.
        devices: Pipes, sockets and devices that are named like photos.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    folders: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    results: int = 0
    links: int = 0
    devices: int = 0

    def add_file(self, name: str) -> None:
        """Count a file whose name is not that of a photo."""
        self.suffixes[os.path.splitext(name)[1].lower()] += 1  # noqa: PTH122 (of many files)

    def describe(self) -> str:
        """Return all counts in one line of text; "" if nothing was ignored."""
        parts = _name(self.suffixes, lambda suffix, count: f"{count} {suffix or 'without suffix'}")
        parts += [f"{self.hidden} hidden"] * bool(self.hidden)
        parts += [f"{self.results} results of this program"] * bool(self.results)
        parts += [f"{self.links} links to folders"] * bool(self.links)
        parts += [f"{self.devices} pipes or devices"] * bool(self.devices)
        if self.folders:
            folders = _name(self.folders, lambda name, count: f"{name} ({count})")
            parts.append(f"in folders {', '.join(folders)}")
        return ", ".join(parts)


def _name(counts: Counter[str], to_text: Callable[[str, int], str]) -> list[str]:
    common = counts.most_common(SHOWN)
    rest = counts.total() - sum(count for _, count in common)
    return [to_text(*each) for each in common] + [f"{rest} others"] * bool(rest)
