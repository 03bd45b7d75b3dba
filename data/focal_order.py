"""Measure how often focal points are visited in their order: python data/focal_order.py DATA.

For each viewer of the validation and test photos of OSIE, EyeCrowd and Scene, the first visit to
each focal point (a fixation nearer to it than to the others, within 8 % of the width) is compared
with `FocalPoint.rank`. A pair counts if at least one of the two was visited; a point that was not
visited comes last.
"""

import csv
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from saliency import Predictor
from saliency.datasets.matlab import load_mat
from saliency.insights import FocalPoint, require_density, summarize

NEAR = 0.08


def first_visits(points: tuple[FocalPoint, ...], subject: Any, width: int) -> list[float]:
    """Return the number of the first fixation on each point, infinity without one."""
    visits = [np.inf] * len(points)
    xs, ys = (np.ravel(subject[name].item()) for name in ("fix_x", "fix_y"))
    for number, (x, y) in enumerate(zip(xs, ys, strict=True)):
        distances = [np.hypot(point.x - x, point.y - y) for point in points]
        nearest = int(np.argmin(distances))
        if distances[nearest] < NEAR * width:
            visits[nearest] = min(visits[nearest], number)
    return visits


def main() -> None:
    root = Path(sys.argv[1])
    predictor = Predictor.load(device="cpu")
    for name in ("osie", "eyecrowd", "scene"):
        with (Path(__file__).parent / "splits" / f"{name}.csv").open(newline="") as file:
            part = {row["image"]: row["part"] for row in csv.DictReader(file)}
        (cells,) = load_mat(root / name / "eye/fixations.mat").values()
        photos = 0
        in_order: list[bool] = []
        first_is_first: list[bool] = []
        for cell in cells.ravel():
            image_id = str(cell["img"].item().item())
            if part[image_id] == "train":
                continue
            prediction = predictor.predict(root / name / "stimuli" / image_id)
            points = summarize(require_density(prediction.density), max_points=8).focal_points
            photos += len(points) > 1
            for subject in cell["subjects"].item().ravel():
                visits = first_visits(points, subject, prediction.image_size[1])
                pairs = [(a, b) for a, b in combinations(visits, 2) if a != b]
                in_order += [a < b for a, b in pairs]
                if pairs:
                    first_is_first.append(visits[0] == min(visits))
        print(
            f"{name}: {photos} photos with several points; {np.mean(in_order):.1%} of "
            f"{len(in_order)} pairs in order; the first point was visited first in "
            f"{np.mean(first_is_first):.1%} of {len(first_is_first)} viewings"
        )


if __name__ == "__main__":
    main()
