"""`saliency evaluate`: measures a checkpoint on labelled images."""

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
from saliency.order_evaluation import OrderShare, measure_order
from saliency.predictor import Predictor


def evaluate(
    recipe: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="Recipe that names the sets to measure on."),
    ] = Path("data/recipes/release.toml"),
    overrides: Overrides = None,
    data_root: DataRoot = None,
    part: Annotated[
        Literal["train", "val", "test"], typer.Option(help="Part of each set to measure on.")
    ] = "test",
    sets: Annotated[
        list[str] | None,
        typer.Option("--only", help="Measure only on the set of this name; repeatable."),
    ] = None,
    center_bias: Annotated[
        bool, typer.Option(help="Also measure the centre bias of the training images.")
    ] = True,
    spoilt: Annotated[
        int,
        typer.Option(
            help="Largest number of photos of each rated set that are also compared with spoilt "
            "copies; 0: none.",
            min=0,
        ),
    ] = 60,
    weights: Weights = None,
    device: Device = "auto",
    backend: Backend = "torch",  # the reference, so that numbers do not depend on what is installed
    batch_size: BatchSize = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    """Measure a checkpoint on labelled images.

    Maps are predicted in the neutral setting, as for users' photos. Prints means over images with
    95 % bootstrap intervals. For maps: NSS, CC, KLDiv, SIM, AUC, sAUC and IG (against the centre
    bias of the training images). For scores: SRCC, PLCC, accuracy and EMD. For networks that state
    the errors of their scores (`model.heteroscedastic`): Spearman's correlation of actual and
    stated errors, and the share of photos within 1 and 2 standard deviations.

    For rated sets it also prints how often a copy of a photo that was spoilt on purpose (out of
    focus, shaken, noisy, ...), mildly and badly, scores lower than the photo; .5 is chance.

    **Example:** `saliency evaluate data/recipes/release.toml --data DATA --part test`
    """
    with training_extra("evaluate"):
        from saliency.datasets.config import find_data_root, is_rated, load_data_config
        from saliency.datasets.sets import build_set, groups_of, trains_only
        from saliency.evaluation import fit_center_bias

    config = load_data_config(recipe, overrides or ())
    root = find_data_root(config, data_root)
    names = [s.name for s in config.sets]
    unknown = sorted(set(sets or ()) - set(names))
    if unknown:
        raise ConfigError(f"`--only` should be among {', '.join(names)}. Found {unknown[0]!r}.")
    predictor = Predictor.load(weights, device, backend=backend)
    labelled = tuple(a.attribute() for a in config.attributes)
    if labelled and predictor.attributes and labelled != predictor.attributes:
        raise ConfigError(
            "`data.attributes` should be the attributes that the weights predict, "
            f"{list(predictor.attributes)}. Found {list(labelled)}."
        )
    stderr.print(predictor.describe(), highlight=False)
    results: dict[str, list[SetResult]] = {}
    orders: dict[str, list[OrderShare]] = {}
    with progress_bar() as bar:
        for set_config in config.sets:
            if sets and set_config.name not in sets:
                continue
            if not sets and part != "train" and trains_only(set_config):
                continue
            dataset = build_set(set_config, part, root, config.attribute_columns())
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
            if spoilt and is_rated(set_config) and predictor.architecture["aesthetics"]:
                photos = min(spoilt, len(dataset))
                task = bar.add_task(f"{set_config.name}, spoilt", total=photos)
                orders[set_config.name] = measure_order(
                    predictor,
                    dataset,
                    groups=groups_of(dataset),
                    limit=photos,
                    on_image=partial(bar.advance, task),
                )
            for reason in result.skipped:
                stderr.print(
                    f"skipped: {reason}",
                    style="yellow",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    if as_json:
        found = {n: [dataclasses.asdict(r) for r in rs] for n, rs in results.items()}
        order = {name: [dataclasses.asdict(row) for row in rows] for name, rows in orders.items()}
        print(json.dumps(found | ({"order": order} if order else {})))
        return
    for name, rows in results.items():
        for metrics in (METRICS, SCORE_METRICS, None, ERROR_METRICS):
            print_table(name, part, rows, metrics)
    for name, shares in orders.items():
        print_order(name, part, shares)


def print_order(name: str, part: str, shares: list[OrderShare]) -> None:
    """Print how often spoilt copies score lower: a row for each kind, columns for severities."""
    severities = list(dict.fromkeys(row.severity for row in shares))
    table = Table(
        title=f"{name}, {part}, {shares[0].photos} photos: share of spoilt copies that score lower "
        "[95 % interval], mean drop in points",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    table.add_column("spoilt by", overflow="fold")
    for severity in severities:
        table.add_column(f"severity {severity:.2g}", justify="right", overflow="fold")
    for kind in dict.fromkeys(row.kind for row in shares):
        cells = [
            f"{row.share:.3f} \\[{row.interval.low:.3f}, {row.interval.high:.3f}] {row.drop:+.2f}"
            for row in shares
            if row.kind == kind
        ]
        table.add_row(kind.replace("_", " "), *cells)
    stdout.print(table)


def print_table(
    name: str, part: str, results: list[SetResult], metrics: tuple[str, ...] | None = None
) -> None:
    """Print the `metrics` that were measured, one row per set; nothing if there are none.

    Without `metrics`, print those that no other table has, which are the attributes'.
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
    # Eight narrow columns fit into 80 characters, the width of a pipe, so that nothing is cut.
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
