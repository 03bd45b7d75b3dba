"""Compare two checkpoints on the same photos, with paired intervals.

    python data/compare_weights.py DATA NEW [OLD] [--part val|test] [--recipe CONFIG.toml]

Prints, for each set of the recipe and for the pages in DATA/web, the result of the new weights and
its difference from that of the old ones (the released weights if none are named). Results are means
over images or rank correlations; the differences have 95 % bootstrap intervals, for ratings with
themes resampled as a whole.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saliency import Predictor
from saliency.datasets import LabelledDataset, OsieDataset
from saliency.datasets.config import load_data_config
from saliency.datasets.sets import build_sets, groups_of
from saliency.evaluation import measure_map, predict_set
from saliency.metrics import bootstrap_interval, srcc
from saliency.types import SCORES

METRICS = ("CC", "NSS", "KLDiv", "SIM")


def measure_maps(predictor: Predictor, dataset: LabelledDataset) -> dict[str, NDArray[np.float64]]:
    """Return (N,) values of a set's images for each metric."""
    rows = [measure_map(p, sample) for _, sample, p in predict_set(predictor, dataset)]
    names = [name for name in METRICS if all(name in row for row in rows)]
    return {name: np.array([row[name] for row in rows]) for name in names}


def print_row(
    name: str,
    metric: str,
    statistic: Callable[..., float],
    new: NDArray[np.float64],
    old: NDArray[np.float64],
    *labels: NDArray[Any],
    groups: NDArray[Any] | None = None,
) -> None:
    """Print one line of the table."""

    def difference(*columns: NDArray[np.float64]) -> float:
        return statistic(columns[0], *columns[2:]) - statistic(columns[1], *columns[2:])

    low, high = bootstrap_interval(difference, new, old, *labels, groups=groups)
    more = difference(new, old, *labels)
    reached = statistic(new, *labels)
    interval = f"[{low:+.4f}, {high:+.4f}]"
    print(f"| {name} | {len(new)} | {metric} | {reached:.3f} | {more:+.4f} {interval} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root", type=Path, metavar="DATA")
    parser.add_argument("new")
    parser.add_argument("old", nargs="?", default="default")
    parser.add_argument("--part", default="val", choices=("val", "test"))
    parser.add_argument("--recipe", type=Path, default=Path("data/recipes/release.toml"))
    given = parser.parse_args()
    new, old = (Predictor.load(weights, "cpu") for weights in (given.new, given.old))
    config = load_data_config(given.recipe)
    sets = build_sets(config, given.part, given.root)
    web = OsieDataset(given.root / "web", "web pages")
    print("| set | images | metric | new | new - old |\n|---|---|---|---|---|")
    for dataset in (*sets.saliency, web):
        reached, before = (measure_maps(predictor, dataset) for predictor in (new, old))
        for metric in reached:
            print_row(dataset.name, metric, np.mean, reached[metric], before[metric])
    for dataset in sets.rated:
        pairs = [list(predict_set(predictor, dataset)) for predictor in (new, old)]
        scores = [np.array([p.score for _, _, p in rows]) for rows in pairs]
        labels = np.array([sample.score_distribution @ SCORES for _, sample, _ in pairs[0]])
        groups = groups_of(dataset)
        themes = None if groups is None else np.array(groups)
        print_row(dataset.name, "SRCC", srcc, *scores, labels, groups=themes)


if __name__ == "__main__":
    main()
