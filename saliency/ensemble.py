"""Ensembles: the mean of several networks, and how far they disagree."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import tee
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saliency.attributes import Attribute, AttributeEstimate
from saliency.densities import normalize_density, resize_density
from saliency.errors import ConfigError
from saliency.images import ImageSource
from saliency.predictor import Predictor
from saliency.types import SCORES, Prediction, Uncertainty


class Ensemble:
    """Predictors with the same outputs that were trained separately, used as one predictor.

    Their disagreement shows what the networks do not know, as opposed to what cannot be known. An
    ensemble costs as much as its members together.

    Attributes:
        members: The predictors, at least two.

    Source:
        Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
        ensembles" (2017).

    Example:
        >>> ensemble = Ensemble.load(["one.safetensors", "two.safetensors"])  # doctest: +SKIP
        >>> ensemble.predict("photo.jpg").uncertainty.score_model_std  # doctest: +SKIP
        0.21
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        """Combine `members`.

        Raises:
            ConfigError: There are fewer than two, or they predict different things.
        """
        self.members = tuple(members)
        if len(self.members) < 2:
            raise ConfigError(
                f"An ensemble should have at least two members. Found {len(self.members)}."
            )
        predicted = [_tells_of(member) for member in self.members]
        for number, other in enumerate(predicted[1:], start=2):
            if other != predicted[0]:
                raise ConfigError(
                    "The members of an ensemble should predict the same things. Found "
                    f"{', '.join(predicted[0])} by the first and {', '.join(other)} by number "
                    f"{number}."
                )

    @classmethod
    def load(cls, weights: Iterable[str | os.PathLike[str]], **options: Any) -> Ensemble:
        """Load a checkpoint for each member.

        Args:
            weights: Paths of the checkpoints.
            options: Arguments of `Predictor.load`, for all of them.

        Raises:
            ConfigError: There are fewer than two, or they predict different things.
            SaliencyError: A checkpoint cannot be loaded, as in `Predictor.load`.
        """
        return cls([Predictor.load(path, **options) for path in weights])

    def predict(self, image: ImageSource) -> Prediction:
        """Predict one photo, like `Predictor.predict`."""
        return combine([member.predict(image) for member in self.members])

    def predict_many(
        self, images: Iterable[ImageSource], batch_size: int | None = None
    ) -> Iterator[Prediction]:
        """Predict many photos, like `Predictor.predict_many`."""
        copies = tee(images, len(self.members))
        streams = [
            member.predict_many(own, batch_size)
            for member, own in zip(self.members, copies, strict=True)
        ]
        for predictions in zip(*streams, strict=True):
            yield combine(predictions)


def combine(predictions: Sequence[Prediction]) -> Prediction:
    """Return the mean of several predictions of one photo, with their disagreement.

    Densities and distributions are averaged, so that the score is the mean score. A stated error
    is the root of the mean square; that of an attribute also includes the members' differences.

    Args:
        predictions: One prediction of each member, with the same heads.
    """
    first = predictions[0]
    distribution = score = score_std = score_model_std = None
    distributions = [p.score_distribution for p in predictions if p.score_distribution is not None]
    if distributions:
        shares = np.stack(distributions).mean(axis=0, dtype=np.float64)
        score = float(shares @ SCORES)
        score_std = float(np.sqrt(shares @ (SCORES - score) ** 2))
        distribution = np.asarray(shares, np.float32)
        score_model_std = _spread(p.score for p in predictions if p.score is not None)
    densities = [p.network_density for p in predictions if p.network_density is not None]
    if densities:
        densities = [resize_density(d, densities[0].shape) for d in densities]
    errors = [p.uncertainty.score_error_std for p in predictions if p.uncertainty]
    known = [error for error in errors if error is not None]
    return Prediction(
        first.image_size,
        normalize_density(np.mean(densities, axis=0, dtype=np.float64)) if densities else None,
        score,
        score_std,
        distribution,
        tuple(map(_combine_estimates, zip(*(p.attributes for p in predictions), strict=True))),
        Uncertainty(
            _root_mean_square(known) if len(known) == len(predictions) else None,
            score_model_std,
            map_disagreement(densities) if densities else None,
        ),
        first.notes,
    )


def map_disagreement(densities: Sequence[NDArray[np.floating]]) -> float:
    """Return how far densities disagree, 0 (all the same) to 1 (nothing in common).

    The Jensen-Shannon divergence, divided by its largest value, the logarithm of their number.
    Unlike 1 - CC it is 0 for equal maps even if they are flat.

    Args:
        densities: M >= 2 densities of one shape (h, w), each >= 0 with sum 1.
    """
    stack = np.stack(densities).astype(np.float64).reshape(len(densities), -1)
    divergence = _entropy(stack.mean(axis=0)) - np.mean([_entropy(row) for row in stack])
    return min(max(float(divergence / math.log(len(stack))), 0.0), 1.0)


def _entropy(density: NDArray[np.float64]) -> float:
    """Return the entropy of (N,) shares in nats."""
    shares = density[density > 0]
    return float(-(shares @ np.log(shares)))


def _combine_estimates(estimates: Sequence[AttributeEstimate]) -> AttributeEstimate:
    """Return the mean of the members' predictions of one attribute."""
    name = estimates[0].name
    shares = [e.probabilities for e in estimates if e.probabilities is not None]
    if shares:
        mean = {label: float(np.mean([s[label] for s in shares])) for label in shares[0]}
        return AttributeEstimate(name, label=max(mean, key=mean.__getitem__), probabilities=mean)
    values = [e.value for e in estimates if e.value is not None]
    stds = [e.std for e in estimates if e.std is not None]
    std = None
    if len(stds) == len(estimates):
        std = math.hypot(_root_mean_square(stds), _spread(values))
    return AttributeEstimate(name, float(np.mean(values)), std)


def _spread(values: Iterable[float]) -> float:
    """Return the standard deviation of `values`; exactly 0 if all are the same."""
    found = np.array(list(values))
    return float(np.std(found)) if found.min() < found.max() else 0.0


def _root_mean_square(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _tells_of(predictor: Predictor) -> list[str]:
    """Return the outputs of a predictor: names, and scales or classes of attributes."""
    main = [n for n in ("saliency", "aesthetics") if predictor.architecture.get(n, True)]
    return [*main, *map(_describe, predictor.attributes)]


def _describe(attribute: Attribute) -> str:
    if attribute.classes:
        return f"{attribute.name} ({', '.join(attribute.classes)})"
    return f"{attribute.name} ({attribute.low:g} to {attribute.high:g})"
