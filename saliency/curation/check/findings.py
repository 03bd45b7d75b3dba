"""What was looked at in a copy of a data set, and what was found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from saliency.files import write_atomically

OnFile = Callable[[], None]
"""Called after each file, for progress."""


@dataclass(frozen=True)
class Finding:
    """One thing that was counted.

    Attributes:
        title: What, in words.
        found: How many.
        expected: How many there should be; None if any number is fine.
        names: What was counted, where it is a problem, in general with the reason.
    """

    title: str
    found: int
    expected: int | None = None
    names: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""
        return self.expected is None or self.found == self.expected


def problem(title: str, names: Sequence[str]) -> Finding:
    """Return a finding of which there should be none."""
    return Finding(title, len(names), 0, tuple(names))


@dataclass(frozen=True)
class CopyReport:
    """What was found in one copy.

    Attributes:
        name: Of the data set.
        folder: Of the copy.
        findings: In the order of a table.
    """

    name: str
    folder: Path
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return all(finding.ok for finding in self.findings)


class Copy(Protocol):
    """A copy of a data set, its labels read; `check` reads the rest."""

    name: str
    folder: Path

    def __len__(self) -> int:
        """Count the files that `check` reads."""

    def check(self, workers: int, on_file: OnFile) -> CopyReport:
        """Read every file, with `workers` threads; `on_file` is called after each."""


def save_reports(reports: Sequence[CopyReport], path: Path) -> None:
    """Write everything that was found as JSON, every name included."""
    values = {
        "ok": all(report.ok for report in reports),
        "sets": [
            {
                "name": report.name,
                "folder": str(report.folder),
                "ok": report.ok,
                "findings": [
                    {
                        "title": finding.title,
                        "found": finding.found,
                        "expected": finding.expected,
                        "ok": finding.ok,
                        "names": list(finding.names),
                    }
                    for finding in report.findings
                ],
            }
            for report in reports
        ],
    }
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())
