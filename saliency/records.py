"""Records of photos, in one form for the command line, HTTP, tables, reports and programs.

docs/RECORDS.md describes the JSON. Sizes are `width` and `height`, boxes `{x, y, width, height}`,
points `{x, y}`, all in pixels of the upright photo from its top-left corner. Every key is always
there; a value that is not known is null.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from saliency.attributes import AttributeEstimate
from saliency.errors import RecordError
from saliency.insights import (
    COARSE_SIDE,
    AspectRatio,
    Box,
    FocalPoint,
    Point,
    Quality,
    RankedCrop,
    RegionAttention,
    SaliencySummary,
    measure_quality,
    summarize,
)
from saliency.types import SCORE_BINS, Prediction, Uncertainty

T = TypeVar("T")

SCHEMA_VERSION = 2
"""Version of the JSON; records of 0.2.0 and before, which do not name it, are version 1."""

FOCAL_POINTS = 5
"""Largest number of focal points in a record."""

Disagreement = Literal["people agree", "people disagree", "people disagree a lot"]

AGREE_BELOW, A_LOT_FROM = 2.53, 2.64
"""Standard deviations of the score distribution, in points: the quartiles, 2.531 and 2.640, that
the released weights 0.3.0 have on 600 photos of OSIE."""


def to_disagreement(score_std: float) -> Disagreement:
    """Return in words how much people would disagree about a photo, compared with other photos.

    Each of the two extremes is said of about a quarter of everyday photos, since the bounds,
    `AGREE_BELOW` and `A_LOT_FROM`, are quartiles over real photos. On the scale of 1 to 10 people
    always differ, by two points or more.

    Args:
        score_std: Standard deviation of the score distribution, in points.
    """
    if score_std < AGREE_BELOW:
        return "people agree"
    return "people disagree" if score_std < A_LOT_FROM else "people disagree a lot"


@dataclass(frozen=True, slots=True)
class CropRecord:
    """A proposed crop of a photo.

    Attributes:
        aspect: The requested aspect ratio, such as "16:9".
        box: Whole pixels, inside the photo.
        kept_attention: Share of all attention inside, 0..1.
        cut_attention: Share of all attention close to its edges, 0..1.
        score: Mean aesthetic score of the crop alone, 1..10; None without an aesthetic head.
        rank: 1 for the best of its shape, then 2, 3, ...
        file: Path of its picture, relative to the output folder; None if none was written.
    """

    aspect: str
    box: Box
    kept_attention: float
    cut_attention: float
    score: float | None
    rank: int
    file: str | None = None

    @classmethod
    def of(cls, crop: RankedCrop, file: str | None = None) -> CropRecord:
        """Return the record of a crop, with the path of its picture."""
        return cls(
            str(crop.aspect),
            crop.box,
            crop.kept_attention,
            crop.cut_attention,
            crop.score,
            crop.rank,
            file,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values for JSON."""
        return _to_fields(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CropRecord:
        """Read what `to_json` returned; unknown keys are ignored.

        Raises:
            RecordError: `data` is something else.
        """
        return _build(cls, data, box=lambda box: _build(Box, box))


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """How much of a photo's attention a region gets.

    Attributes:
        name: Name of the region; its number, from 1, if it has no name.
        box: The region, cut to the photo.
        share: Share of all attention, 0..1.
        share_per_area: `share` divided by the region's share of the area; 1 is average.
        peak: Strongest pixel inside, divided by the strongest of the photo, 0..1.
        peak_at: Place of that pixel.
        rank: 1 for the region with the most attention.
    """

    name: str
    box: Box
    share: float
    share_per_area: float
    peak: float
    peak_at: Point
    rank: int

    @classmethod
    def of(cls, name: str, region: RegionAttention) -> RegionRecord:
        """Return the record of a measured region."""
        return cls(name, **{field.name: getattr(region, field.name) for field in fields(region)})

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values for JSON."""
        return _to_fields(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RegionRecord:
        """Read what `to_json` returned; unknown keys are ignored.

        Raises:
            RecordError: `data` is something else.
        """
        return _build(
            cls,
            data,
            box=lambda box: _build(Box, box),
            peak_at=lambda point: Point(point["x"], point["y"]),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """All results for one photo. Values of a head that the network lacks are None.

    Attributes:
        image: The photo, as it was named; empty if it has no name.
        width: Width of the upright photo, in pixels.
        height: Height of the upright photo, in pixels.
        score: Mean aesthetic score, 1..10.
        score_std: Standard deviation of the score distribution, in points.
        score_distribution: Expected shares of the votes 1..10, which sum to 1.
        saliency: Where attention gathers, and how much.
        quality: Technical quality where people look, and whether the file shows a picture at all.
        attributes: Estimates of further attributes; empty if the network predicts none.
        uncertainty: How far the prediction can be trusted; None if it was not estimated.
        notes: Faults of the file, which was read in spite of them.
        overlay: Path of the overlay, relative to the output folder; None if none was written.
        map: Path of the saliency map, relative to the output folder; None if none was written.
        crops: The crops that were written.
    """

    image: str
    width: int
    height: int
    score: float | None
    score_std: float | None
    score_distribution: tuple[float, ...] | None
    saliency: SaliencySummary | None
    quality: Quality | None
    attributes: tuple[AttributeEstimate, ...] = ()
    uncertainty: Uncertainty | None = None
    notes: tuple[str, ...] = ()
    overlay: str | None = None
    map: str | None = None
    crops: tuple[CropRecord, ...] = ()

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the upright photo."""
        return self.height, self.width

    @property
    def disagreement(self) -> Disagreement | None:
        """How much people would disagree about the score; None without an aesthetic head."""
        return None if self.score_std is None else to_disagreement(self.score_std)

    @property
    def has_content(self) -> bool:
        """Whether the file shows a picture, as far as is known; if not, show no score."""
        return self.quality is None or self.quality.has_content

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the pictures that were written, relative to the output folder."""
        named = (self.overlay, self.map, *(crop.file for crop in self.crops))
        return tuple(file for file in named if file is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the record for JSON, with `schema_version` and the verdicts in words."""
        plain: dict[str, Any] = {}
        for field in fields(self):
            plain[field.name] = _to_plain(getattr(self, field.name))
            if field.name == "score_std":
                plain["disagreement"] = self.disagreement
        plain["attributes"] = {one.pop("name"): one for one in plain["attributes"]}
        if self.quality is not None:
            plain["quality"]["sentence"] = self.quality.sentence
        return {"schema_version": SCHEMA_VERSION, **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Read what `to_json` returned; unknown keys, of which HTTP adds some, are ignored.

        Raises:
            RecordError: `data` has another `schema_version`, or is no record at all.
        """
        version = data.get("schema_version") if isinstance(data, Mapping) else None
        if version != SCHEMA_VERSION:
            raise RecordError(
                f"A record should have `schema_version` {SCHEMA_VERSION}. Found {version!r}, so "
                "another version of aesthetic-saliency wrote it; read it with that version."
            )
        return _build(
            cls,
            data,
            score_distribution=tuple,
            saliency=_read_summary,
            quality=lambda quality: _build(Quality, quality),
            attributes=lambda known: tuple(
                _build(AttributeEstimate, {"name": name, **estimate})
                for name, estimate in known.items()
            ),
            uncertainty=lambda known: _build(Uncertainty, known),
            notes=tuple,
            crops=lambda crops: tuple(map(CropRecord.from_json, crops)),
        )

    def to_row(self) -> dict[str, object]:
        """Return the record as one flat row of a table; unknown values have no cell.

        Tables can hold only UTF-8: bytes of file names that are not UTF-8 are written as
        `backslashreplace` writes them.
        """
        record = self.to_json()
        distribution, saliency = record.pop("score_distribution"), record.pop("saliency")
        quality, crops = record.pop("quality"), record.pop("crops")
        attributes, uncertainty = record.pop("attributes"), record.pop("uncertainty")
        del record["schema_version"]
        row = {**record, "notes": "; ".join(record["notes"]) or None}
        for score, share in enumerate(distribution or (), start=1):
            row[f"score_distribution_{score}"] = share
        if saliency is not None:
            for number, point in enumerate(saliency.pop("focal_points"), start=1):
                row |= _prefix(f"focal_point_{number}", point)
            row |= _prefix("center_of_mass", saliency.pop("center_of_mass")) | saliency
        row |= _prefix("quality", quality or {})
        for crop in crops:
            del crop["rank"]  # only the best crop of each shape is written
            row |= _prefix(_name_crop(crop.pop("aspect")), crop.pop("box") | crop)
        for name, estimate in attributes.items():
            column = f"attribute_{name}"
            row[column] = estimate["value"] if estimate["label"] is None else estimate["label"]
            row[f"{column}_std"] = estimate["std"]
            row |= _prefix(column, estimate["probabilities"] or {})
        row |= uncertainty or {}
        return {
            name: _to_utf8(cell) if isinstance(cell, str) else cell
            for name, cell in row.items()
            if cell is not None
        }


def to_record(image: str, prediction: Prediction, pixels: NDArray[np.uint8]) -> Record:
    """Return the record of one photo.

    Args:
        image: Name of the photo.
        prediction: The photo's prediction.
        pixels: (H', W', 3) uint8 RGB, of which the quality is measured. Use
            `PreparedImage.measured`, so that the quality is the same in every command.
    """
    height, width = prediction.image_size
    density = prediction.density_within(COARSE_SIDE)
    distribution = prediction.score_distribution
    return Record(
        image=image,
        width=width,
        height=height,
        score=prediction.score,
        score_std=prediction.score_std,
        score_distribution=None if distribution is None else tuple(distribution.tolist()),
        saliency=None
        if density is None
        else summarize(density, FOCAL_POINTS, image_size=prediction.image_size),
        quality=None
        if prediction.network_density is None
        else measure_quality(pixels, prediction.network_density),
        attributes=prediction.attributes,
        uncertainty=prediction.uncertainty,
        notes=prediction.notes,
    )


def regions_to_json(
    image: str, image_size: tuple[int, int], regions: Iterable[RegionRecord]
) -> dict[str, Any]:
    """Return the measured regions of a photo as plain values for JSON.

    Args:
        image: Name of the photo.
        image_size: (height, width) of the photo.
        regions: The regions, in the order in which they were asked for.
    """
    height, width = image_size
    return {
        "schema_version": SCHEMA_VERSION,
        "image": image,
        "width": width,
        "height": height,
        "regions": [region.to_json() for region in regions],
    }


def list_columns(
    crops: Iterable[AspectRatio] = (), record: Record | None = None
) -> dict[str, type]:
    """Return the names and types (str, int, float, bool) of the columns of `Record.to_row`.

    Args:
        crops: Aspect ratios of the crops that were asked for.
        record: Record of any photo by the same network; it adds the columns of values that only
            some networks predict.
    """
    columns: dict[str, type] = {"image": str, "width": int, "height": int}
    columns |= {"score": float, "score_std": float, "disagreement": str}
    columns |= {f"score_distribution_{score}": float for score in range(1, SCORE_BINS + 1)}
    for field in fields(SaliencySummary):
        if field.name == "focal_points":
            for number in range(1, FOCAL_POINTS + 1):
                columns |= _prefix(f"focal_point_{number}", get_type_hints(FocalPoint))
        elif field.name == "center_of_mass":
            columns |= _prefix(field.name, get_type_hints(Point))
        else:
            columns[field.name] = float
    words: dict[str, type] = {"has_content": bool, "flaws": str}
    for field in fields(Quality):
        columns[f"quality_{field.name}"] = words.get(field.name, float)
    columns |= {"quality_sentence": str, "overlay": str, "map": str, "notes": str}
    for aspect in crops:
        crop = _name_crop(str(aspect))
        columns |= {f"{crop}_{side}": int for side in ("x", "y", "width", "height")}
        columns |= {f"{crop}_{name}": float for name in ("kept_attention", "cut_attention")}
        columns |= {f"{crop}_score": float, f"{crop}_file": str}
    row = record.to_row() if record else {}
    extra = {name: type(cell) for name, cell in row.items() if name not in columns}
    return columns | extra


def _to_fields(value: Any) -> dict[str, Any]:
    """Return a dataclass as a mapping."""
    return {field.name: _to_plain(getattr(value, field.name)) for field in fields(value)}


def _to_plain(value: Any) -> Any:
    """Return dataclasses and points as mappings, tuples as lists."""
    if is_dataclass(value):
        return _to_fields(value)
    if isinstance(value, Point):
        return value._asdict()
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _build(kind: type[T], data: Mapping[str, Any], **readers: Any) -> T:
    """Return a dataclass from a mapping of its fields; `readers` convert those not null."""
    try:
        values = {field.name: data[field.name] for field in fields(kind)}  # type: ignore[arg-type]
        for name, read in readers.items():
            if values[name] is not None:
                values[name] = read(values[name])
        return kind(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"A {kind.__name__} should have the fields that docs/RECORDS.md lists. Found: "
            f"{type(error).__name__} {error}."
        ) from error


def _read_summary(data: Mapping[str, Any]) -> SaliencySummary:
    return _build(
        SaliencySummary,
        data,
        focal_points=lambda points: tuple(_build(FocalPoint, point) for point in points),
        center_of_mass=lambda point: Point(point["x"], point["y"]),
    )


def _name_crop(aspect: str) -> str:
    return f"crop_{aspect.replace(':', 'x')}"


def _prefix(prefix: str, values: Mapping[str, T]) -> dict[str, T]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _to_utf8(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
