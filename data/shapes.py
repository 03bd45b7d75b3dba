"""Are maps right on photos of every shape? Run: python data/shapes.py DATA NEW [OLD] [--part val].

Prints, for the weights NEW and OLD (the released ones if none are named), over photos with
fixations and with 95 % intervals:

- CC on the largest crops of a shape, and NEW - OLD;
- CC between two maps of one photo whose shape is at the border of two input sizes, one by each;
- by how many points the score of a photo differs from that of its mirror image, and from that of
  the photo turned by a quarter.
"""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency import Predictor
from saliency.datasets.config import load_data_config
from saliency.datasets.sets import build_sets
from saliency.densities import normalize_density
from saliency.metrics import bootstrap_interval, cc
from saliency.types import Sample

SHAPES = {"1:2": 1 / 2, "3:4": 3 / 4, "1:1": 1.0, "4:3": 4 / 3, "16:9": 16 / 9, "2.2:1": 2.2}
LEAST_MASS = 0.3
"""Share of the density below which a crop shows hardly anything that was looked at."""


def crop(sample: Sample, proportions: float) -> Sample:
    """Return the largest crop in the middle whose width / height is `proportions`."""
    height, width = sample.image.shape[:2]
    h = min(height, round(width / proportions))
    w = min(width, round(height * proportions))
    top, left = (height - h) // 2, (width - w) // 2
    rows, columns = slice(top, top + h), slice(left, left + w)
    return dataclasses.replace(
        sample,
        image=np.ascontiguousarray(sample.image[rows, columns]),
        density=sample.density[rows, columns],
        fixations=None,
    )


def cc_of_crops(
    predictor: Predictor, samples: Sequence[Sample], proportions: float
) -> NDArray[np.float64]:
    """Return the CC of every crop that shows something."""
    crops = [crop(sample, proportions) for sample in samples]
    return np.array(
        [
            cc(predictor.predict(one.image).density, normalize_density(one.density))
            for one in crops
            if one.density.sum() >= LEAST_MASS
        ]
    )


def borders(predictor: Predictor) -> list[float]:
    """Return the proportions, width / height, at which a photo changes its input size."""
    proportions = sorted(width / height for height, width in predictor.preprocessing.sizes)
    return [math.sqrt(narrower * wider) for narrower, wider in pairwise(proportions)]


def cc_across(
    predictor: Predictor, samples: Sequence[Sample], border: float
) -> NDArray[np.float64]:
    """Return the CC between the maps of crops just narrower and just wider than `border`."""
    values = []
    for sample in samples:
        maps = [
            predictor.predict(crop(sample, border * factor).image).density
            for factor in (0.995, 1.005)
        ]
        height, width = (min(sides) for sides in zip(*(m.shape for m in maps), strict=True))
        values.append(cc(*(trim(one, height, width) for one in maps)))
    return np.array(values)


def trim(density: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return the middle of a map."""
    top, left = (
        (side - kept) // 2 for side, kept in zip(density.shape, (height, width), strict=True)
    )
    return density[top : top + height, left : left + width]


def score_differences(
    predictor: Predictor, samples: Sequence[Sample]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by how much scores differ when photos are mirrored, and turned by a quarter."""
    scores = np.array(
        [
            [
                predictor.predict(np.ascontiguousarray(image)).score
                for image in (one.image, one.image[:, ::-1], np.rot90(one.image))
            ]
            for one in samples
        ]
    )
    return np.abs(scores[:, 1] - scores[:, 0]), np.abs(scores[:, 2] - scores[:, 0])


def to_text(values: NDArray[np.float64], sign: str = "") -> str:
    """Return a mean and its interval."""
    low, high = bootstrap_interval(np.mean, values)
    return f"{values.mean():{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("new")
    parser.add_argument("old", nargs="?", default="default")
    parser.add_argument("--part", default="val", choices=("val", "test"))
    parser.add_argument("--recipe", type=Path, default=Path("data/recipes/release.toml"))
    given = parser.parse_args()
    weights = {"new": given.new, "old": given.old}
    predictors = {name: Predictor.load(which, "cpu") for name, which in weights.items()}
    sets = build_sets(load_data_config(given.recipe), given.part, given.data)
    samples = [sample for dataset in sets.saliency for sample in dataset]
    print("| shape | crops | CC | new - old |\n|---|---|---|---|")
    for name, proportions in SHAPES.items():
        new, old = (cc_of_crops(p, samples, proportions) for p in predictors.values())
        print(f"| {name} | {len(new)} | {to_text(new)} | {to_text(new - old, '+')} |", flush=True)
    some = samples[:: max(1, len(samples) // 50)]
    print("\n| weights | border, width / height | CC across it |\n|---|---|---|")
    for name, predictor in predictors.items():
        for border in borders(predictor):
            across = cc_across(predictor, some, border)
            print(f"| {name} | {border:.3f} | {to_text(across)} |", flush=True)
    print("\n| weights | mirrored | turned |\n|---|---|---|")
    for name, predictor in predictors.items():
        mirrored, turned = score_differences(predictor, some)
        print(f"| {name} | {to_text(mirrored)} | {to_text(turned)} |", flush=True)


if __name__ == "__main__":
    main()
