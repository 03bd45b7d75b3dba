"""Compare predicted histograms of votes with raters' own: python data/histograms.py DATA.

Draws `docs/histograms.png`, the raters' and the predicted votes of six photos of OASIS's test part
and the mean of all, and prints how far both are apart. Needs the extra `train`.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from saliency import Predictor
from saliency.datasets.config import load_data_config
from saliency.datasets.sets import build_set
from saliency.metrics import emd
from saliency.types import SCORES

ROOT = Path(__file__).parents[1]
SHOWN = 6


def main() -> None:
    """Write the chart, and print the distances."""
    config = load_data_config(ROOT / "data" / "recipes" / "release.toml")
    rated = next(one for one in config.sets if one.layout == "ratings")
    train, test = (build_set(rated, part, Path(sys.argv[1])) for part in ("train", "test"))
    photos = [test[index] for index in range(len(test))]
    raters = np.stack([photo.score_distribution for photo in photos])
    predictions = list(Predictor.load().predict_many([photo.image for photo in photos]))
    predicted = np.stack([prediction.score_distribution for prediction in predictions])
    usual = np.mean([train[index].score_distribution for index in range(len(train))], axis=0)
    normal = np.stack(
        [to_normal(prediction.score, prediction.score_std) for prediction in predictions]
    )
    for name, other in (("predicted", predicted), ("normal", normal), ("training photos", usual)):
        print(f"{name}: EMD {emd(np.broadcast_to(other, raters.shape), raters):.3f}")
    draw(raters, predicted)


def to_normal(mean: float, std: float) -> NDArray[np.float64]:
    """Return a normal distribution on the ten scores."""
    density = np.exp(-0.5 * ((SCORES - mean) / std) ** 2)
    return density / density.sum()


def draw(raters: NDArray[np.floating], predicted: NDArray[np.floating]) -> None:
    """Draw six photos from the lowest mean score to the highest, and the mean of all."""
    means = raters @ np.arange(1, raters.shape[1] + 1)
    chosen = np.argsort(means)[np.linspace(0, len(means) - 1, SHOWN).round().astype(int)]
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure = Figure(figsize=(11, 4.6), layout="constrained")
        axes = figure.subplots(2, 4, sharex=True)
        for axis, row in zip(axes.flat, chosen, strict=False):
            draw_pair(axis, raters[row], predicted[row], f"raters' mean {means[row]:.1f}")
        draw_pair(axes[1, 2], raters.mean(axis=0), predicted.mean(axis=0), f"all {len(means)}")
        axes[1, 3].axis("off")
        axes[1, 3].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", frameon=False)
        figure.supxlabel("score, 1..10")
        figure.supylabel("share of votes")
        figure.savefig(ROOT / "docs" / "histograms.png", dpi=90)


def draw_pair(
    axis: Axes, raters: NDArray[np.floating], predicted: NDArray[np.floating], title: str
) -> None:
    """Draw both histograms of a photo into `axis`."""
    scores = np.arange(1, len(raters) + 1)
    axis.bar(scores, raters, color="#b8c4d6", label="raters")
    axis.step(scores, predicted, where="mid", color="#d55e00", linewidth=1.8, label="predicted")
    axis.set_title(title, fontsize=9)
    axis.set_xticks((1, 4, 7, 10))


if __name__ == "__main__":
    main()
