"""`saliency experiment attention-and-beauty`: do photos with focused attention score higher?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from saliency.cli.console import progress_bar, stdout
from saliency.cli.extras import training_extra
from saliency.cli.options import DataRoot, Device


def attention_and_beauty(
    recipe: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="A recipe that names the sets.")
    ] = Path("data/recipes/release.toml"),
    data_root: DataRoot = None,
    saliency_weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights that predict densities of rated photos; best trained without ratings."
        ),
    ] = None,
    score_weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights that predict scores of viewed photos; best trained without fixations."
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Correlate statistics of attention with aesthetic scores.

    Ratings are compared with predicted densities, and fixations (OSIE layout) with predicted
    scores, since no set has both labels. Only the train part is read.

    **Example:** `saliency experiment attention-and-beauty --data DATA`
    """
    with training_extra("experiment"):
        from saliency.datasets import OsieDataset
        from saliency.datasets.config import find_data_root, is_rated, load_data_config
        from saliency.datasets.sets import build_set, open_whole_set
        from saliency.experiments.attention_and_beauty import relate_rated, relate_viewed
        from saliency.predictor import Predictor

    config = load_data_config(recipe)
    root = find_data_root(config, data_root)
    densities = Predictor.load(saliency_weights, device)
    scores = Predictor.load(score_weights, device)
    relations = []
    with progress_bar() as bar:
        for set_config in config.sets:
            task = bar.add_task(set_config.name, total=None)
            if is_rated(set_config):
                rated = build_set(set_config, "train", root)
                relations += relate_rated(rated, densities, partial(bar.advance, task))
            elif set_config.layout == "osie":
                viewed = open_whole_set(set_config, root)
                assert isinstance(viewed, OsieDataset)  # noqa: S101
                kept = frozenset(build_set(set_config, "train", root).ids)
                relations += relate_viewed(viewed, scores, kept, partial(bar.advance, task))
    table = Table("photos", "statistic", "images", "SRCC with the score")
    for r in relations:
        interval = f"{r.srcc:+.3f} [{r.interval.low:+.3f}, {r.interval.high:+.3f}]"
        table.add_row(r.photos, r.statistic, str(r.images), interval)
    stdout.print(table)
