"""How a score compares: its percentile among the scores of reference photos."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ConfigError
from saliency.files import write_atomically

SUFFIX = ".reference.json"
STARS = 5
PLACE_STEP = 5
"""Places are told in such steps; finer ones would pretend to know."""


@dataclass(frozen=True, slots=True)
class ScoreReference:
    """The scores that one network gives to reference photos, as quantiles.

    `data/score_reference.py` makes the one of the released weights; another network's scores lie
    elsewhere, so each checkpoint has its own, in a file beside it.

    Attributes:
        quantiles: (Q,) ascending scores: the smallest, ..., the median, ..., the greatest, in even
            steps.
        weights_sha256: Of the checkpoint that gave the scores.
        photos: Set -> how many of its photos were scored; for people.
    """

    quantiles: tuple[float, ...]
    weights_sha256: str
    photos: dict[str, int]

    @classmethod
    def load(cls, path: Path, weights_sha256: str) -> ScoreReference:
        """Read a reference and check that it belongs to a checkpoint.

        Raises:
            ConfigError: It is missing, damaged, or another checkpoint's.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            quantiles = tuple(map(float, content["quantiles"]))
            reference = cls(quantiles, content["weights_sha256"], content["photos"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{path} should hold the scores of reference photos. Found: {error}."
            ) from error
        if len(quantiles) < 2 or not (np.diff(quantiles) >= 0).all():
            raise ConfigError(f"{path} should have ascending quantiles. Found {quantiles}.")
        if reference.weights_sha256 != weights_sha256:
            raise ConfigError(
                f"{path} should be made with the weights beside it. Found other weights' scores; "
                "data/score_reference.py makes it anew."
            )
        return reference

    @classmethod
    def measure(cls, scores: dict[str, NDArray[np.float64]], weights_sha256: str) -> ScoreReference:
        """Return the percentiles 0, 1, ..., 100 of scores.

        Args:
            scores: Set -> (N,) scores of its photos; all photos count alike.
            weights_sha256: Of the checkpoint that gave them.
        """
        together = np.concatenate(list(scores.values()))
        quantiles = np.quantile(together, np.linspace(0, 1, 101)).round(4)
        counts = {name: len(values) for name, values in scores.items()}
        return cls(tuple(quantiles.tolist()), weights_sha256, counts)

    def save(self, path: Path) -> None:
        """Write the reference as JSON, atomically."""
        content: dict[str, Any] = {
            "what": "percentiles 0..100 of the scores of reference photos",
            "made_by": "python data/score_reference.py DATA",
            "weights_sha256": self.weights_sha256,
            "photos": self.photos,
            "quantiles": self.quantiles,
        }
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

    def to_percentile(self, score: float) -> float:
        """Return the share of reference photos, in percent, with a lower score: 0..100."""
        steps = np.linspace(0, 100, len(self.quantiles))
        return float(np.interp(score, self.quantiles, steps))

    def to_place(self, score: float) -> int:
        """Return about where a photo would stand among 100 reference photos: 1 the best .. 100."""
        steps = round((100 - self.to_percentile(score)) / PLACE_STEP)
        return min(100, max(1, steps * PLACE_STEP))

    def to_stars(self, score: float) -> int:
        """Return 1..5 stars, one for each fifth of the reference photos that `score` reaches."""
        return min(STARS, 1 + int(self.to_percentile(score) * STARS / 100))


def reference_of(weights: Path) -> Path:
    """Return where the reference of a checkpoint is: weights.reference.json."""
    return weights.with_suffix(SUFFIX)


def find_reference(weights: Path, sha256: str) -> ScoreReference | None:
    """Return the reference of a checkpoint; None where there is none, or another checkpoint's."""
    try:
        return ScoreReference.load(reference_of(weights), sha256)
    except ConfigError:
        return None


def place_in_words(place: int) -> str:
    """Return a place of `ScoreReference.to_place` as people say it."""
    if place in (1, 100):
        return f"among the {'first' if place == 1 else 'last'} of 100 everyday photos"
    return f"around the {place}th of 100 everyday photos"
