"""`saliency export`: writes the network as ONNX, for fast predictions on a CPU."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.checkpoint import find_weights
from saliency.cli.console import stdout
from saliency.cli.extras import require_extra

MIB = 2**20


def export(
    weights: Annotated[
        Path | None,
        typer.Argument(
            parser=find_weights,
            metavar="FILE|NAME",
            help="A checkpoint, or the name of released weights: default, or accurate (better "
            "maps, slower).",
        ),
    ] = None,
) -> None:
    """Write a checkpoint's network as ONNX beside it, a graph for each input size.

    With these files `saliency predict -w WEIGHTS` is several times faster on a CPU and does not
    need PyTorch. Other programs can use them too: their metadata describe input and outputs. The
    released weights have them already.

    **Example:** `saliency export runs/mine/best.safetensors`
    """
    with require_extra("export", "export"):
        from saliency.backends.export import export_graphs

    for path in export_graphs(weights or find_weights(None)):
        size = path.stat().st_size / MIB
        stdout.print(f"{path} ({size:.1f} MiB)", highlight=False, markup=False, soft_wrap=True)
