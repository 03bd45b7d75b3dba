"""What is told of a photo in numbers: nested for JSON, flat for tables."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any, TypeVar, get_type_hints

from saliency.insights import (
    COARSE_SIDE,
    AspectRatio,
    FocalPoint,
    Point,
    RankedCrop,
    SaliencySummary,
    summarize,
)
from saliency.types import SCORE_BINS, Prediction

Value = TypeVar("Value")

FOCAL_POINTS = 5
"""The most focal points of a photo that are named."""


def to_fields(prediction: Prediction) -> dict[str, object]:
    """Return the fields of `prediction` that are numbers, under their own names, for JSON.

    `saliency` holds the fields of `saliency.insights.SaliencySummary`, as the HTTP service has
    them; None without a saliency head. Behind it come `Prediction.extra_fields`.
    """
    distribution = prediction.score_distribution
    return {
        "image_size": list(prediction.image_size),
        "score": prediction.score,
        "score_std": prediction.score_std,
        "score_distribution": None if distribution is None else [float(p) for p in distribution],
        "saliency": _summarize(prediction),
        **prediction.extra_fields(),
    }


def _summarize(prediction: Prediction) -> dict[str, object] | None:
    density = prediction.density_within(COARSE_SIDE)
    if density is None:
        return None
    summary = summarize(density, FOCAL_POINTS, image_size=prediction.image_size)
    return {
        **asdict(summary),
        "focal_points": [asdict(point) for point in summary.focal_points],
        "center_of_mass": summary.center_of_mass._asdict(),
    }


def crop_to_fields(crop: RankedCrop, file: str) -> dict[str, object]:
    """Return a crop's fields for JSON; `box` is x, y, width, height in pixels."""
    box = crop.box
    return {
        "aspect": str(crop.aspect),
        "box": [int(side) for side in (box.x, box.y, box.width, box.height)],
        "kept_attention": crop.kept_attention,
        "score": crop.score,
        "file": file,
    }


def list_columns(
    crops: Iterable[AspectRatio] = (), record: dict[str, Any] | None = None
) -> dict[str, type]:
    """Return name -> str, int or float of the columns that `flatten` fills.

    Args:
        crops: The shapes that were asked for.
        record: Of any photo: what not every network tells, it tells of all photos or of none.
    """
    columns: dict[str, type] = {"image": str, "image_height": int, "image_width": int}
    columns |= {"score": float, "score_std": float}
    columns |= {f"score_distribution_{score}": float for score in range(1, SCORE_BINS + 1)}
    for field in fields(SaliencySummary):
        if field.name == "focal_points":
            for number in range(1, FOCAL_POINTS + 1):
                columns |= _prefix(f"focal_point_{number}", get_type_hints(FocalPoint))
        elif field.name == "center_of_mass":
            columns |= _prefix(field.name, get_type_hints(Point))
        else:
            columns[field.name] = float
    columns |= {"overlay": str, "map": str}
    for aspect in crops:
        crop = _name_crop(str(aspect))
        columns |= {f"{crop}_{side}": int for side in ("x", "y", "width", "height")}
        columns |= {f"{crop}_kept_attention": float, f"{crop}_score": float, f"{crop}_file": str}
    told = _flatten_extra(record or {})
    return columns | {name: str if isinstance(cell, str) else float for name, cell in told.items()}


def flatten(record: dict[str, Any]) -> dict[str, object]:
    """Return a record as one row of a table; what it lacks has no cell.

    Tables hold UTF-8 alone: of other file names the odd bytes are written as `backslashreplace`
    does.
    """
    row: dict[str, object] = {
        "image": record["image"],
        "image_height": record["image_size"][0],
        "image_width": record["image_size"][1],
        "score": record["score"],
        "score_std": record["score_std"],
        "overlay": record.get("overlay"),
        "map": record.get("map"),
    }
    for score, share in enumerate(record["score_distribution"] or (), start=1):
        row[f"score_distribution_{score}"] = share
    for name, value in (record["saliency"] or {}).items():
        if name == "focal_points":
            for number, point in enumerate(value, start=1):
                row |= _prefix(f"focal_point_{number}", point)
        elif name == "center_of_mass":
            row |= _prefix(name, value)
        else:
            row[name] = value
    for crop in record.get("crops", ()):
        sides = dict(zip(("x", "y", "width", "height"), crop["box"], strict=True))
        cells = {name: crop[name] for name in ("kept_attention", "score", "file")}
        row |= _prefix(_name_crop(crop["aspect"]), sides | cells)
    row |= _flatten_extra(record)
    return {name: _to_utf8(cell) if isinstance(cell, str) else cell for name, cell in row.items()}


def _flatten_extra(record: dict[str, Any]) -> dict[str, object]:
    """Return the cells of `Prediction.extra_fields`."""
    cells: dict[str, object] = {}
    for name, told in record.get("attributes", {}).items():
        parts = told if isinstance(told, dict) else {"value": told}
        column = f"attribute_{name}"
        cells[column] = parts["label"] if "label" in parts else parts["value"]
        if "std" in parts:
            cells[f"{column}_std"] = parts["std"]
        cells |= _prefix(column, parts.get("probabilities", {}))
    cells |= record.get("uncertainty", {})
    return cells


def _name_crop(aspect: str) -> str:
    return f"crop_{aspect.replace(':', 'x')}"


def _prefix(prefix: str, values: dict[str, Value]) -> dict[str, Value]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _to_utf8(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
