"""The command line, as a user calls it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from saliency.cli import main

ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def saliency(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Return a function that runs `saliency ARGUMENTS` in this process, which is fast."""
    monkeypatch.delenv("SALIENCY_DATA", raising=False)

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["saliency", *map(str, arguments)])
        capsys.readouterr()  # what came before
        with pytest.raises(SystemExit) as exit_info:
            main()
        code = exit_info.value.code
        return Ended(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def saliency_process() -> Callable[..., Ended]:
    """Return a function that runs `python -m saliency ARGUMENTS` in a process of its own."""

    def run(*arguments: str | Path, **environment: str) -> Ended:
        ended = subprocess.run(
            [sys.executable, "-m", "saliency", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run
