"""`saliency info`: describes a checkpoint."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from saliency.attributes import Attribute
from saliency.backends.graphs import find_graphs
from saliency.checkpoint import (
    Header,
    count_parameters,
    find_weights,
    load_checkpoint,
    read_header,
    to_sha256,
)
from saliency.cli.console import stdout
from saliency.cli.progress import say
from saliency.errors import SaliencyError

MIB = 2**20


def info(
    weights: Annotated[
        Path | None,
        typer.Argument(
            parser=find_weights,
            metavar="FILE|NAME",
            help="A checkpoint, or the name of released weights: default, or accurate (better "
            "maps, slower).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Describe a checkpoint: network, preprocessing, data, metrics, SHA-256.

    **Example:** `saliency info`
    """
    path = find_weights(weights)
    header = read_header(path)
    card, parameters = header.card, count_parameters(path)
    learned = describe_sharing(path, header)
    sha256 = to_sha256(path)
    if as_json:
        everything = {
            "file": str(path),
            "sha256": sha256,
            "parameters": parameters,
            "architecture": header.architecture,
            "preprocessing": dataclasses.asdict(header.preprocessing),
            "card": dataclasses.asdict(card),
            "learned_about_tasks": learned,
        }
        print(json.dumps(everything, indent=2))
        return
    lines = {
        "file": f"{path} ({path.stat().st_size / MIB:.1f} MiB)",
        "sha256": sha256,
        "version": card.version,
        "encoder": header.architecture.get("encoder", "not stated"),
        "heads": ", ".join(name_heads(header)),
        "guidance": "aesthetics guides saliency"
        if header.architecture.get("guidance", True)
        else "none",
        "sharing": name_sharing(header),
        "parameters": f"{parameters / 1e6:.2f} million",
        "input": f"{', '.join(f'{h}x{w}' for h, w in header.preprocessing.sizes)} pixels, by the "
        "photo's proportions",
        "exported": "yes: predictions on a CPU need no PyTorch"
        if find_graphs(path, header.preprocessing)
        else "no: `saliency export` makes predictions on a CPU several times faster",
        "data": ", ".join(card.data) or "not stated",
        "license": card.license,
        "commit": card.commit or "not stated",
    }
    for name, text in lines.items():
        stdout.print(f"{name:11} {text}", highlight=False, markup=False, soft_wrap=True)
    for name, values in (learned or {}).items():
        stdout.print(f"{name:11} {values}", highlight=False, markup=False, soft_wrap=True)
    for name, metrics in card.metrics.items():
        values = "  ".join(f"{metric} {value:.3f}" for metric, value in metrics.items())
        stdout.print(f"{'on ' + name:11} {values}", highlight=False, markup=False, soft_wrap=True)


def name_heads(header: Header) -> list[str]:
    """Return what the network predicts; older files lack the newer fields."""
    architecture = header.architecture
    main = [name for name in ("saliency", "aesthetics") if architecture.get(name, True)]
    return [*main, *(Attribute(*fields).name for fields in architecture.get("attributes", ()))]


def name_sharing(header: Header) -> str:
    """Return how the tasks share the encoder; files of version 0.2 hold a name without options."""
    sharing = header.architecture.get("sharing", "hard")
    return sharing if isinstance(sharing, str) else str(sharing["name"])


def describe_sharing(path: Path, header: Header) -> dict[str, object] | None:
    """Return what the sharing scheme has learned about the tasks; None if PyTorch is missing.

    One encoder for all tasks, the usual case, learns nothing about them.
    """
    if name_sharing(header) == "hard":
        return {}
    try:
        return load_checkpoint(path).network.sharing.describe()
    except SaliencyError as error:
        say(f"what was learned about the tasks is not shown: {error}", style="yellow")
        return None
