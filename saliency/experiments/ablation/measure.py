"""Measure a trained run image by image, so that arms can be compared on the same images."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from saliency.datasets.sets import LabelledSets, groups_of
from saliency.errors import SaliencyError
from saliency.evaluation import PredictsMany, measure_map, pair_attributes, predict_set
from saliency.files import write_atomically
from saliency.types import SCORES

RESULT, PACKED = "result.json", "runs.jsonl.xz"

MINIMUM_LABELS = 10
"""Least number of images with a label of an attribute, so that resampling is meaningful."""

DIGITS = 5
"""Decimal digits that are saved: much finer than the variation over images and seeds."""


@dataclass(frozen=True)
class SetMeasures:
    """Measures of one set's left-out images, in the order of the set.

    Attributes:
        images: File names of the images.
        maps: CC, NSS, KLDiv and SIM of each image; empty without fixations or a decoder.
        scores: Predicted mean scores; empty without ratings or an aesthetic head.
        ratings: The raters' mean scores, in the order of `scores`.
        groups: Theme of each image; empty where images are independent.
        attributes: Metric of an attribute -> pairs of prediction and label.
    """

    images: list[str] = field(default_factory=list)
    maps: dict[str, list[float]] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    ratings: list[float] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    attributes: dict[str, list[list[float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """One finished run.

    Attributes:
        arm: Name of its arm.
        repetition: Number of the repetition, which is the seed.
        fold: Fold that it was measured on.
        sets: Set name -> measures.
        train: Means of logged values over the last epoch: losses, weights, cosines.
        gap: Task -> validation loss minus training loss.
        seconds: Time of training and measuring.
        parameters: Number of parameters of the network.
        commit: Commit of the code.
        identity: Values that determine the run, from `Study.identity`.
        flops: Floating-point operations for one photo; 0 if not counted.
        steps: Number of optimiser steps; 0 if not counted.
        learned: What the sharing scheme learned about the tasks.
    """

    arm: str
    repetition: int
    fold: int
    sets: dict[str, SetMeasures]
    train: dict[str, float]
    gap: dict[str, float]
    seconds: float
    parameters: int
    commit: str
    identity: dict[str, Any]
    flops: int = 0
    steps: int = 0
    learned: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_atomically(path, self._to_json())

    def _to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, path: Path) -> RunResult:
        """Read a result that `save` wrote."""
        return cls._from_json(path.read_bytes())

    @classmethod
    def _from_json(cls, text: bytes) -> RunResult:
        values = json.loads(text)
        values["sets"] = {k: SetMeasures(**v) for k, v in values["sets"].items()}
        return cls(**values)


def pack(results: Iterable[RunResult], path: Path) -> None:
    """Write results into one compressed file, to keep them or to continue elsewhere."""
    lines = b"\n".join(result._to_json() for result in results)
    write_atomically(path, lzma.compress(lines, preset=9))


def unpack(path: Path) -> list[RunResult]:
    """Read results that `pack` wrote.

    Raises:
        SaliencyError: The file is of another kind.
    """
    try:
        lines = lzma.decompress(path.read_bytes()).splitlines()
        return [RunResult._from_json(line) for line in lines]
    except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError, TypeError) as error:
        raise SaliencyError(
            f"Results should be a {PACKED} of `saliency experiment ablation`. "
            f"Found {path}: {error}."
        ) from error


def measure(predictor: PredictsMany, sets: LabelledSets) -> dict[str, SetMeasures]:
    """Measure a predictor on every image of `sets`, in the neutral setting."""
    found = {}
    for dataset in sets:
        measures = SetMeasures()
        groups = groups_of(dataset)
        for index, sample, prediction in predict_set(predictor, dataset):
            measures.images.append(sample.image_id)
            if groups is not None:
                measures.groups.append(groups[index])
            for name, value in measure_map(prediction, sample).items():
                measures.maps.setdefault(name, []).append(round(value, DIGITS))
            if prediction.score is not None and sample.score_distribution is not None:
                measures.scores.append(round(prediction.score, DIGITS))
                measures.ratings.append(round(float(sample.score_distribution @ SCORES), DIGITS))
            for name, pair in pair_attributes(prediction, sample).items():
                columns = measures.attributes.setdefault(name, [[], []])
                for column, value in zip(columns, pair, strict=True):
                    column.append(round(value, DIGITS))
        known = {n: np.isfinite(labels).sum() for n, (_, labels) in measures.attributes.items()}
        for name in [name for name, count in known.items() if count < MINIMUM_LABELS]:
            del measures.attributes[name]
        found[dataset.name] = measures
    return found
