"""A monotone map from the network's scores to your own ratings, stored in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ConfigError
from saliency.files import write_atomically

SUFFIX = ".calibration.json"


@dataclass(frozen=True)
class Calibration:
    """A monotone, piecewise linear map from scores to ratings.

    Attributes:
        scores: (K,) ascending scores, 1..10: the corners of the map.
        ratings: (K,) ratings that they are mapped to, never descending, on your own scale.
        weights_sha256: SHA-256 of the checkpoint whose scores it maps.
        origin: Description of its origin; for people, not used.

    Raises:
        ConfigError: The corners do not form a monotone map.

    Example:
        >>> calibration = Calibration((4.0, 6.0), (1.0, 5.0), "...")
        >>> calibration.apply(5.0), calibration.apply(9.0)
        (3.0, 5.0)
    """

    scores: tuple[float, ...]
    ratings: tuple[float, ...]
    weights_sha256: str
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        steps = np.diff(self.scores), np.diff(self.ratings)
        finite = np.isfinite([*self.scores, *self.ratings]).all()
        fits = len(self.scores) == len(self.ratings) >= 1
        if not (fits and finite and (steps[0] > 0).all() and (steps[1] >= 0).all()):
            raise ConfigError(
                "A calibration should have ascending scores and as many ratings that never fall. "
                f"Found {self.scores} and {self.ratings}."
            )

    @classmethod
    def load(cls, path: Path | str) -> Calibration:
        """Read a calibration that `save` wrote.

        Raises:
            ConfigError: The file is missing, damaged or not a calibration.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            scores, ratings = (tuple(map(float, content[key])) for key in ("scores", "ratings"))
            weights_sha256, origin = str(content["weights_sha256"]), dict(content["origin"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{path} should be a file that `saliency calibrate` wrote. Found: {error!r}."
            ) from error
        return cls(scores, ratings, weights_sha256, origin)

    def save(self, path: Path) -> None:
        """Write the calibration as JSON, atomically."""
        content = {
            "what": "corners of a monotone map from the score to one's own ratings",
            "weights_sha256": self.weights_sha256,
            "origin": self.origin,
            "scores": self.scores,
            "ratings": self.ratings,
        }
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

    def check_weights(self, weights_sha256: str) -> None:
        """Check that the scores come from the weights that the calibration was made with.

        Raises:
            ConfigError: They come from other weights, so that the map has no meaning.
        """
        if self.weights_sha256 != weights_sha256:
            raise ConfigError(
                "A calibration should be used with the weights it was made with. "
                f"Found one for {self.weights_sha256[:12]}, and weights {weights_sha256[:12]} "
                "(SHA-256); `saliency calibrate` makes a new one."
            )

    @overload
    def apply(self, score: float) -> float: ...
    @overload
    def apply(self, score: NDArray[np.floating]) -> NDArray[np.float64]: ...
    def apply(self, score: float | NDArray[np.floating]) -> float | NDArray[np.float64]:
        """Return the rating of a score, or of an array of them; constant beyond the corners."""
        ratings = np.interp(score, self.scores, self.ratings)
        return ratings if isinstance(score, np.ndarray) else float(ratings)


def calibration_of(weights: Path) -> Path:
    """Return the path of a checkpoint's calibration: weights.calibration.json."""
    return weights.with_suffix(SUFFIX)
