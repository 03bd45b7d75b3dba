"""`saliency experiment NAME`: experiments on data and on training."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from saliency.cli.ablation import ablation
from saliency.cli.attention_and_beauty import attention_and_beauty
from saliency.cli.console import progress_bar, stdout
from saliency.cli.extras import training_extra
from saliency.cli.gaussian_process import gaussian_process
from saliency.cli.gradnorm_toy import gradnorm_toy
from saliency.cli.options import DataRoot

app = typer.Typer(help="Experiments on data and on training.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass


app.command("ablation")(ablation)
app.command(
    "sharing",
    help="Compare schemes of sharing the encoder, and their costs: `ablation` for a study such as "
    "data/recipes/studies/sharing.toml.",
)(ablation)
app.command("attention-and-beauty")(attention_and_beauty)
app.command("gaussian-process")(gaussian_process)
app.command("gradnorm-toy")(gradnorm_toy)


@app.command("beauty-ridge")
def beauty_ridge(
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG.toml", help="A recipe that names the encoder and a set with folds."
        ),
    ] = Path("data/recipes/release.toml"),
    data_root: DataRoot = None,
    final_features: Annotated[
        bool, typer.Option(help="Also use the pooled features of the ImageNet classifier.")
    ] = False,
) -> None:
    """Cross-validate ridge regression of beauty on the frozen encoder's features.

    **Example:** `saliency experiment beauty-ridge data/recipes/release.toml --data DATA`
    """
    with training_extra("experiment"):
        from saliency.datasets.config import find_data_root
        from saliency.experiments.beauty_ridge import cross_validate
        from saliency.training.config import load_config

    config = load_config(recipe)
    root = find_data_root(config.data, data_root)
    with progress_bar() as bar:
        task = bar.add_task("features", total=None)
        results = cross_validate(
            config, root, final_features=final_features, on_image=lambda: bar.advance(task)
        )
    for r in results:
        stdout.print(f"fold {r.fold}  images {r.images}  SRCC {r.srcc:.3f}  PLCC {r.plcc:.3f}")
    stdout.print(
        f"mean over folds  SRCC {np.mean([r.srcc for r in results]):.3f}  "
        f"PLCC {np.mean([r.plcc for r in results]):.3f}"
    )
