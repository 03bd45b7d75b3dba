"""`saliency experiment gaussian-process`: predicts several ratings together, on frozen features."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from saliency.cli.console import progress_bar, stdout
from saliency.cli.extras import training_extra
from saliency.cli.options import DataRoot, Overrides

if TYPE_CHECKING:
    from saliency.experiments.gaussian_process import Rated

METHODS = {
    "ridge": "ridge, each target by itself",
    "independent": "Gaussian process, independent outputs",
    "together": "Gaussian process, correlated outputs",
}


def gaussian_process(
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG.toml",
            help="A recipe that names the encoder, a set with folds, and attributes.",
        ),
    ] = Path("data/recipes/rated.toml"),
    data_root: DataRoot = None,
    overrides: Overrides = None,
    final_features: Annotated[
        bool, typer.Option(help="Also use the pooled features of the ImageNet classifier.")
    ] = False,
) -> None:
    """Predict all ratings together with a Gaussian process on frozen features.

    Compares it with ridge regression and checks its stated uncertainty.

    **Example:** `saliency experiment gaussian-process data/recipes/rated.toml --data DATA`
    """
    with training_extra("experiment"):
        from saliency.datasets.config import find_data_root
        from saliency.experiments.gaussian_process import cross_validate
        from saliency.training.config import load_config

    config = load_config(recipe, overrides or ())
    root = find_data_root(config.data, data_root)
    with progress_bar() as bar:
        task = bar.add_task("features", total=None)
        rated = cross_validate(
            config, root, final_features=final_features, on_image=lambda: bar.advance(task)
        )
    _show(rated)


def _show(rated: "Rated") -> None:
    def line(text: str) -> None:
        stdout.print(text, highlight=False, markup=False, soft_wrap=True)

    for method, title in METHODS.items():
        line(f"SRCC of {title}")
        by_fold = np.array([getattr(fold, method) for fold in rated.folds])
        for fold, values in zip(rated.folds, by_fold, strict=True):
            line(f"  fold {fold.fold}  images {fold.images}{_named(rated.targets, values)}")
        line(f"  mean over folds{_named(rated.targets, by_fold.mean(axis=0))}")
    line("learned by the correlated process")
    for fold in rated.folds:
        pairs = [
            f"  {one}~{other} {fold.correlations[i, j]:.2f}"
            for i, one in enumerate(rated.targets)
            for j, other in enumerate(rated.targets[:i])
        ]
        line(
            f"  fold {fold.fold}  length scale {fold.length_scale:.2f}  noise {fold.noise:.2f}"
            + "".join(pairs)
        )
    line("actual errors against predicted standard deviations, all folds")
    for target in rated.targets:
        found = rated.calibration(target)
        line(
            f"  {target}  SRCC {found.srcc:.3f}  within one {found.within_one:.3f}  "
            f"within two {found.within_two:.3f}"
        )


def _named(names: tuple[str, ...], values: "np.typing.NDArray[np.float64]") -> str:
    return "".join(f"  {name} {value:.3f}" for name, value in zip(names, values, strict=True))
