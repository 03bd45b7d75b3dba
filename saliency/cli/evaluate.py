"""`saliency evaluate`: a checkpoint against labelled images."""

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from saliency.cli.console import progress_bar, stderr, stdout
from saliency.cli.extras import training_extra
from saliency.cli.options import Backend, BatchSize, DataRoot, Device, Overrides, Weights
from saliency.errors import ConfigError
from saliency.evaluation import (
    ERROR_METRICS,
    METRICS,
    SCORE_METRICS,
    CenterBiasPredictor,
    PredictsMany,
    SetResult,
)
from saliency.evaluation import evaluate as evaluate_set
from saliency.predictor import Predictor


def evaluate(
    recipe: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="The recipe whose sets to measure on.")
    ] = Path("data/recipes/release.toml"),
    overrides: Overrides = None,
    data_root: DataRoot = None,
    part: Annotated[
        Literal["train", "val", "test"], typer.Option(help="Which images of each set.")
    ] = "test",
    sets: Annotated[
        list[str] | None, typer.Option("--only", help="Only the set of this name; repeatable.")
    ] = None,
    center_bias: Annotated[
        bool, typer.Option(help="Also measure the centre bias of the training images.")
    ] = True,
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "torch",  # the reference: numbers that do not depend on what is installed
    batch_size: BatchSize = None,
    as_json: Annotated[bool, typer.Option("--json", help="Numbers for programs.")] = False,
) -> None:
    """Measure a checkpoint on labelled images, every photo in the neutral setting.

    Prints means over images with 95 % bootstrap intervals: NSS, CC, KLDiv, SIM, AUC, sAUC and IG
    (against the centre bias of the training images) of maps; SRCC, PLCC, accuracy and EMD of
    scores. For networks that state their scores' errors (`model.heteroscedastic`) also Spearman's
    correlation of made and stated errors and the share of photos within 1 and 2 deviations.

    **Example:** `saliency evaluate data/recipes/release.toml --data DATA --part test`
    """
    with training_extra("evaluate"):
        from saliency.training.config import is_rated, load_config
        from saliency.training.data import build_set, find_data_root, fit_center_bias, groups_of

    config = load_config(recipe, overrides or ())
    root = find_data_root(config.data, data_root)
    names = [s.name for s in config.data.sets]
    unknown = sorted(set(sets or ()) - set(names))
    if unknown:
        raise ConfigError(f"`--only` should be among {', '.join(names)}. Found {unknown[0]!r}.")
    predictor = Predictor.load(weights, device, backend=backend)
    labelled = tuple(a.attribute() for a in config.data.attributes)
    if labelled and predictor.attributes and labelled != predictor.attributes:
        raise ConfigError(
            "`data.attributes` should be those that the weights tell, "
            f"{list(predictor.attributes)}. Found {list(labelled)}."
        )
    stderr.print(predictor.describe(), highlight=False)
    results: dict[str, list[SetResult]] = {}
    with progress_bar() as bar:
        for set_config in config.data.sets:
            if sets and set_config.name not in sets:
                continue
            dataset = build_set(set_config, part, root, config.data.attribute_columns())
            bias = None
            if not is_rated(set_config):
                bias = fit_center_bias(build_set(set_config, "train", root))
            entries: list[tuple[str, PredictsMany]] = [("network", predictor)]
            if bias is not None and center_bias:
                entries.append(("centre bias", CenterBiasPredictor(bias)))
            task = bar.add_task(set_config.name, total=len(dataset) * len(entries))
            for name, entry in entries:
                result = evaluate_set(
                    entry,
                    dataset,
                    center_bias=bias,
                    groups=groups_of(dataset),
                    score_cut=set_config.score_cut,
                    batch_size=batch_size,
                    on_image=partial(bar.advance, task),
                )
                results.setdefault(name, []).append(result)
            for reason in result.skipped:
                stderr.print(
                    f"skipped: {reason}",
                    style="yellow",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    if as_json:
        print(json.dumps({n: [dataclasses.asdict(r) for r in rs] for n, rs in results.items()}))
        return
    for name, rows in results.items():
        for metrics in (METRICS, SCORE_METRICS, None, ERROR_METRICS):
            print_table(name, part, rows, metrics)


def print_table(
    name: str, part: str, results: list[SetResult], metrics: tuple[str, ...] | None = None
) -> None:
    """Print those of `metrics` that there are, a row a set; nothing if there are none.

    Without `metrics`, print those that no other table has: the attributes'.
    """
    others = {*METRICS, *SCORE_METRICS, *ERROR_METRICS}
    columns = dict.fromkeys(
        metric
        for result in results
        for metric in result.measures
        if (metric not in others if metrics is None else metric in metrics)
    )
    if not columns:
        return
    # Eight narrow columns fit into the 80 characters that a pipe has; nothing is cut short.
    table = Table(
        title=f"{name}, {part} images: mean [95 % interval]",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
    )
    table.add_column("set", overflow="fold")
    table.add_column("images", justify="right", overflow="fold")
    for metric in columns:
        table.add_column(metric, justify="right", overflow="fold")
    for result in results:
        if not columns.keys() & result.measures.keys():
            continue
        cells = []
        for metric in columns:
            measure = result.measures.get(metric)
            if measure is None:
                cells.append("")
                continue
            text = f"{measure.value:.3f}"
            if measure.interval is not None:
                text += f"\n[{measure.interval.low:.3f}, {measure.interval.high:.3f}]"
            cells.append(text.replace("[", "\\["))
        table.add_row(result.name, str(result.images), *cells)
    stdout.print(table)
