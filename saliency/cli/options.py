"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.backends import BackendName
from saliency.checkpoint import find_weights
from saliency.predictor import BATCH_SIZE

Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        "-w",
        parser=find_weights,
        metavar="FILE|NAME",
        help="A checkpoint, or the name of released weights: default, or accurate (better "
        "maps, slower).",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", "-d", help="auto, cpu, cuda, cuda:N or mps; auto takes a GPU if there is one."
    ),
]
Backend = Annotated[
    BackendName,
    typer.Option(
        "--backend",
        help="Library that computes the network; auto: the fastest installed one that suits the "
        "weights (see `saliency export`) and the device.",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SALIENCY_DATA",
        help="Folder of the data sets, which has one folder for each.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        "-b",
        min=1,
        help=f"Photos that are computed together; default: 1 on a CPU, {BATCH_SIZE} on a GPU.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override a value of the recipe, as in train.epochs=3; repeatable.",
    ),
]
