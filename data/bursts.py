"""Of a burst, is the sharp frame first? Run: python data/bursts.py DATA [CHECKPOINT] [--photos N].

Each burst is a photo without labels and four frames of it that are out of focus, shaken,
over-exposed and noisy, all of one severity. Prints how often the sound frame is best by the rule of
`saliency rank` and by the score alone.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from saliency import Predictor
from saliency.batch.scoring import ScoredPhoto, score_photos
from saliency.checkpoint import find_weights
from saliency.distortions import DISTORTIONS
from saliency.images import read_image
from saliency.ranking import choose_best, rank_photos

KINDS = ("defocus", "motion", "over_exposure", "noise")
SEVERITIES = (0.2, 0.35, 0.6)


def main() -> None:
    """Print one row a severity."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", nargs="?", default="default")
    parser.add_argument("--photos", type=int, default=25)
    options = parser.parse_args()
    predictor = Predictor.load(find_weights(options.weights), "cpu")
    photos = sorted((options.data / "unlabelled" / "images").iterdir())
    chosen = photos[:: len(photos) // options.photos][: options.photos]
    print("| severity | rule | score alone | found as one group |\n|---|---|---|---|")
    for severity in SEVERITIES:
        by_rule, by_score, grouped = 0, 0, 0
        for seed, photo in enumerate(chosen):
            frames = score_burst(predictor, photo, severity, seed)
            by_rule += choose_best(frames) == 0
            by_score += max(range(len(frames)), key=lambda number: frames[number].score) == 0
            grouped += len({frame.group for frame in rank_photos(frames)} - {None}) == 1
        print(f"| {severity} | {by_rule} of {len(chosen)} | {by_score} | {grouped} |", flush=True)


def score_burst(predictor: Predictor, photo: Path, severity: float, seed: int) -> list[ScoredPhoto]:
    """Return the scored frames of a burst, the sound one first."""
    sound = read_image(photo)
    rng = np.random.default_rng(seed)
    frames = [sound, *(DISTORTIONS[kind](sound, severity, rng) for kind in KINDS)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.png" for number in range(len(frames))]
        for path, frame in zip(paths, frames, strict=True):
            Image.fromarray(frame).save(path)
        scored = [one for one in score_photos(predictor, paths) if isinstance(one, ScoredPhoto)]
    if len(scored) != len(frames):
        raise RuntimeError(f"All frames of {photo} should be scored. Found {len(scored)}.")
    return scored


if __name__ == "__main__":
    main()
