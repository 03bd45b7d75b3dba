"""`saliency info`: what a checkpoint is."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from saliency.backends.graphs import find_graphs
from saliency.checkpoint import load_checkpoint, released_weights, to_sha256
from saliency.cli.console import stdout

MIB = 2**20


def info(
    weights: Annotated[
        Path | None, typer.Argument(help="A checkpoint; the released one if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Show what a checkpoint is: network, preprocessing, data, metrics, SHA-256.

    **Example:** `saliency info`
    """
    path = released_weights() if weights is None else weights
    checkpoint = load_checkpoint(path)
    network, card = checkpoint.network, checkpoint.card
    parameters = sum(p.numel() for p in network.parameters())
    sha256 = to_sha256(path)
    if as_json:
        everything = {
            "file": str(path),
            "sha256": sha256,
            "parameters": parameters,
            "architecture": dataclasses.asdict(network.architecture),
            "preprocessing": dataclasses.asdict(checkpoint.preprocessing),
            "card": dataclasses.asdict(card),
            "learned_about_tasks": network.sharing.describe(),
        }
        print(json.dumps(everything, indent=2))
        return
    lines = {
        "file": f"{path} ({path.stat().st_size / MIB:.1f} MiB)",
        "sha256": sha256,
        "version": card.version,
        "encoder": network.architecture.encoder,
        "heads": ", ".join(network.architecture.tasks),
        "guidance": "aesthetics guides saliency" if network.architecture.guidance else "none",
        "sharing": network.architecture.sharing,
        "parameters": f"{parameters / 1e6:.2f} million",
        "input": f"{checkpoint.preprocessing.height}x{checkpoint.preprocessing.width} pixels "
        "(portrait photos: the other way round)",
        "exported": "yes: predictions on a CPU need no PyTorch"
        if find_graphs(path, checkpoint.preprocessing)
        else "no: `saliency export` makes predictions on a CPU several times faster",
        "data": ", ".join(card.data) or "not stated",
        "license": card.license,
        "commit": card.commit or "not stated",
    }
    for name, text in lines.items():
        stdout.print(f"{name:11} {text}", highlight=False, markup=False, soft_wrap=True)
    for name, learned in network.sharing.describe().items():
        stdout.print(f"{name:11} {learned}", highlight=False, markup=False, soft_wrap=True)
    for name, metrics in card.metrics.items():
        values = "  ".join(f"{metric} {value:.3f}" for metric, value in metrics.items())
        stdout.print(f"{'on ' + name:11} {values}", highlight=False, markup=False, soft_wrap=True)
