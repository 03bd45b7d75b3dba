"""`saliency refit`: solves part of a trained network's score read-out again."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.cli.console import stdout
from saliency.cli.extras import training_extra
from saliency.cli.options import DataRoot, Device, Overrides


def refit(
    recipe: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="Recipe that the checkpoint was trained with."),
    ],
    weights: Annotated[
        Path, typer.Option("--weights", "-w", help="The trained checkpoint; it is not changed.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write.")],
    share: Annotated[
        float, typer.Option(help="Share of the read-out that is solved again.", min=0, max=1)
    ] = 0.5,
    overrides: Overrides = None,
    data_root: DataRoot = None,
    device: Device = "auto",
) -> None:
    """Solve part of the score read-out again, in closed form on the trained features.

    Scores then rank unseen photos better, and still notice spoilt ones; maps hardly change. Measure
    both checkpoints with `saliency evaluate --part val` and keep the better one.

    **Example:** `saliency refit release.toml --data DATA -w a/last.safetensors -o a.safetensors`
    """
    if output.resolve() == weights.resolve():
        raise typer.BadParameter("--output should name another file than --weights")
    with training_extra("refit"):
        from saliency.checkpoint import load_checkpoint, save_checkpoint
        from saliency.datasets.config import find_data_root
        from saliency.devices import resolve_device
        from saliency.training.config import load_config
        from saliency.training.refit import refit_scores
    config = load_config(recipe, overrides or ())
    root = find_data_root(config.data, data_root)
    checkpoint = load_checkpoint(weights)
    refitted = refit_scores(checkpoint, config, root, resolve_device(device), share)
    save_checkpoint(output, refitted)
    stdout.print(output, highlight=False, markup=False, soft_wrap=True)
