"""`saliency train`: trains a checkpoint by a TOML recipe."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.cli.console import stderr, stdout
from saliency.cli.extras import training_extra
from saliency.cli.options import DataRoot, Device, Overrides

INTERRUPTED = 130
"""Exit code after Ctrl-C, by the convention of shells."""


def train(
    config_path: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="A recipe, such as those in data/recipes.")
    ],
    run_dir: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for the run; an interrupted run continues."),
    ],
    overrides: Overrides = None,
    data_root: DataRoot = None,
    device: Device = "auto",
) -> None:
    """Train a network, or continue an interrupted run.

    The run's folder receives best.safetensors and last.safetensors (checkpoints for --weights),
    metrics.jsonl, TensorBoard's files and the saved state. Ctrl-C stops after the current step, or
    image of validation, and saves everything. Run the same command again to continue.

    On a CPU all cores are used, but only one thread if the network is small or other programs keep
    the cores busy, since threads that wait for each other are then many times slower. `-s
    train.threads=N` or OMP_NUM_THREADS set another number.

    With torchrun several processes share each batch, each on a GPU of its own or on CPUs. Their
    number changes only the speed, and may change when a run continues.

    **Example:** `saliency train data/recipes/smoke.toml -s train.epochs=2 -o runs/smoke`

    **Example:** `torchrun --nproc-per-node 4 -m saliency train recipe.toml -o runs/mine`
    """
    with training_extra("train"):
        from saliency.datasets.config import find_data_root
        from saliency.training.config import load_config
        from saliency.training.distributed import join_world
        from saliency.training.loop import train as run_training
        from saliency.training.report import Reporter

    config = load_config(config_path, overrides or ())
    root = find_data_root(config.data, data_root)
    with join_world(device) as (world, own_device):
        try:
            result = run_training(
                config,
                run_dir,
                data_root=root,
                device=own_device,
                reporter=Reporter(run_dir, stderr),
                world=world,
            )
        except KeyboardInterrupt:  # before the first step, or the second Ctrl-C
            stderr.print(
                "stopped at once; run the same command again to continue from the last save"
            )
            raise typer.Exit(INTERRUPTED) from None
    if not world.is_first:
        raise typer.Exit(INTERRUPTED if result.interrupted else 0)
    if result.interrupted:
        stderr.print(
            f"stopped; run the same command again to continue from {run_dir}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED)
    stdout.print(
        f"{result.checkpoint}  validation score {result.score:.4f} at epoch {result.epoch}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
