"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    Path | None,
    typer.Option("--weights", "-w", help="A checkpoint; the released one if not given."),
]
Device = Annotated[
    str,
    typer.Option("--device", "-d", help="auto, cpu, cuda, cuda:N or mps; a GPU if there is one."),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SALIENCY_DATA",
        help="Folder that holds the data sets, one folder each.",
    ),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", "-b", min=1, help="Photos that are computed together.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override, as in train.epochs=3."),
]
