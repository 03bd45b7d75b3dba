"""Errors for packages that a plain install lacks, which say how to get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from saliency.errors import ConfigError, SaliencyError

OWN = ("saliency", "service")
NAMES = {"torch": "PyTorch", "sklearn": "scikit-learn"}
"""Usual names of packages that are imported by another name."""


@contextmanager
def require_extra(
    what: str, extra: str, error: type[SaliencyError] = ConfigError
) -> Iterator[None]:
    """Turn a failed import inside the context into an error that says how to get the extra.

    Args:
        what: The part of the program that needs the extra, as the start of a sentence.
        extra: A name of `project.optional-dependencies`.
        error: Type of the error.

    Raises:
        SaliencyError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package in OWN:  # a fault of this package, which no extra can fix
            raise
        raise error(
            f"{what} needs {NAMES.get(package, package)}, which is not installed; "
            f"to get it: pip install 'aesthetic-saliency[{extra}]'"
        ) from missing
