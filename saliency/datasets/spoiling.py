"""Spoilt copies of a photo for training: which distortions, and how strong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saliency.distortions import DISTORTIONS
from saliency.errors import ConfigError
from saliency.types import Sample, Spoiling

SAME_KIND = 0.5
"""Probability that a photo's copies are all of one kind, so that severities can be compared."""


def check_distortions(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names`, or all distortions if it is empty.

    Raises:
        ConfigError: A name is unknown.
    """
    unknown = [name for name in names if name not in DISTORTIONS]
    if unknown:
        raise ConfigError(
            f"Distortions should be among {', '.join(DISTORTIONS)}. Found {', '.join(unknown)}."
        )
    return tuple(names) or tuple(DISTORTIONS)


def spoil(sample: Sample, count: int, kinds: Sequence[str], seed: int) -> list[Sample]:
    """Return spoilt copies of a photo, without its labels.

    Args:
        sample: A photo as it is.
        count: Number of copies.
        kinds: Names of distortions to draw from.
        seed: >= 0; the same one gives the same copies.
    """
    rng = np.random.default_rng(seed)
    if rng.random() < SAME_KIND:
        drawn = [str(rng.choice(kinds))] * count
    else:
        drawn = [str(kind) for kind in rng.choice(kinds, count, replace=count > len(kinds))]
    copies = []
    for kind in drawn:
        severity = float(rng.uniform())
        distortion = DISTORTIONS[kind]
        copies.append(
            replace(
                sample,
                image=distortion(sample.image, severity, rng),
                fixations=None,
                density=None,
                score_distribution=None,
                attributes=(),
                spoiling=Spoiling(kind, severity, distortion.margin_at(severity)),
            )
        )
    return copies
