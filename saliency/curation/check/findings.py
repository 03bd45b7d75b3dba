"""Findings of a check of a copy of a data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from saliency.files import write_atomically

OnFile = Callable[[], None]
"""Function that is called after each file, for progress."""


@dataclass(frozen=True)
class Finding:
    """One thing that was counted.

    Attributes:
        title: Name of what was counted.
        found: Number found.
        expected: Number expected; None if any number is fine.
        names: What was counted, if it is a problem, usually with the reason.
    """

    title: str
    found: int
    expected: int | None = None
    names: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the number is as expected."""
        return self.expected is None or self.found == self.expected


def problem(title: str, names: Sequence[str]) -> Finding:
    """Return a finding whose expected number is 0."""
    return Finding(title, len(names), 0, tuple(names))


@dataclass(frozen=True)
class CopyReport:
    """The report on one copy.

    Attributes:
        name: Name of the data set.
        folder: Folder of the copy.
        findings: Findings, in the order of a table.
    """

    name: str
    folder: Path
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether all numbers are as expected."""
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
    """Write all findings as JSON, including every name."""
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
