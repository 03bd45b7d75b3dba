"""`saliency export`: the network as ONNX, for predictions on a CPU and for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.checkpoint import released_weights
from saliency.cli.console import stdout
from saliency.cli.extras import require_extra

MIB = 2**20


def export(
    weights: Annotated[
        Path | None, typer.Argument(help="A checkpoint; the released one if not given.")
    ] = None,
) -> None:
    """Write a checkpoint's network as ONNX beside it, for landscape and for portrait photos.

    With these files `saliency predict -w WEIGHTS` computes several times faster on a CPU, and
    without PyTorch. They work in other programs too: input and outputs are described in their
    metadata. The released weights have them already.

    **Example:** `saliency export runs/mine/best.safetensors`
    """
    with require_extra("export", "export"):
        from saliency.backends.export import export_graphs

    for path in export_graphs(weights or released_weights()):
        size = path.stat().st_size / MIB
        stdout.print(f"{path} ({size:.1f} MiB)", highlight=False, markup=False, soft_wrap=True)
