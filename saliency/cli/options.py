"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.backends import BackendName
from saliency.predictor import BATCH_SIZE

Weights = Annotated[
    Path | None,
    typer.Option("--weights", "-w", help="A checkpoint; the released one if not given."),
]
Device = Annotated[
    str,
    typer.Option("--device", "-d", help="auto, cpu, cuda, cuda:N or mps; a GPU if there is one."),
]
Backend = Annotated[
    BackendName,
    typer.Option(
        "--backend",
        help="What computes the network; auto: the fastest that is installed and goes with the "
        "weights (see `saliency export`) and the device.",
    ),
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
    int | None,
    typer.Option(
        "--batch-size",
        "-b",
        min=1,
        help=f"Photos that are computed together; 1 on a processor, {BATCH_SIZE} on a GPU.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override, as in train.epochs=3."),
]
