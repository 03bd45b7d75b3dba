"""Options that the verbs of `saliency data` share."""

from typing import Annotated

import typer

Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Threads that read images; one per core if not given."),
]

INTERRUPTED = 130
"""Exit code after Ctrl-C, by the convention of shells."""
