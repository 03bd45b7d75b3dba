"""The JSON of the API: the records of `saliency.records`, and facts about their computation.

All pixels are those of the upright photo, from its top-left corner.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(frozen=True)


class Point(Body):
    """A place in the photo."""

    x: float = Field(description="pixels from the left edge", examples=[210.5])
    y: float = Field(description="pixels from the top edge", examples=[98.0])


class BoxBody(Body):
    """A part of the photo, in pixels from its top-left corner; crops have whole pixels."""

    x: int | float = Field(examples=[100])
    y: int | float = Field(examples=[50])
    width: int | float = Field(examples=[200])
    height: int | float = Field(examples=[120])


class FocalPointBody(Point):
    """A place that draws attention."""

    share: float = Field(
        description="share of all attention, in the area around it", examples=[0.31]
    )
    rank: int = Field(description="1 = looked at first, by share", examples=[1])


class SaliencyBody(Body):
    """The saliency map in a few numbers."""

    focal_points: list[FocalPointBody] = Field(description="ordered by share, at most 5")
    entropy: float = Field(
        description="0 (all attention in one place) .. 1 (even)", examples=[0.83]
    )
    concentration: float = Field(
        description="share of attention in the most looked-at tenth of the area", examples=[0.47]
    )
    center_of_mass: Point
    thirds_distance: float | None = Field(
        description="first focal point to a crossing of thirds; both sides count as 1",
        examples=[0.12],
    )
    left_right_balance: float = Field(
        description="-1 (all left) .. 1 (all right)", examples=[-0.08]
    )


class QualityBody(Body):
    """Technical quality of the photo where people look."""

    sharpness: float | None = Field(description="0 (blurred) .. 1; null without an edge")
    sharpness_elsewhere: float | None = Field(description="the same where people do not look")
    motion_direction: float | None = Field(
        description="direction of a directed blur, in degrees 0..180; null without one"
    )
    motion_strength: float = Field(
        description="0 (the same blur in all directions) .. 1", examples=[0.1]
    )
    clipped_highlights: float = Field(description="share of attention on clipped pixels")
    clipped_shadows: float = Field(description="share of attention on black pixels")
    noise: float = Field(description="standard deviation in levels of 255", examples=[1.2])
    has_content: bool = Field(description="false for one colour or mere noise; then show no score")
    flaws: str = Field(description="flaws in words; empty if there are none", examples=[""])
    sentence: str = Field(
        description="the same as a sentence for people",
        examples=["Nothing is technically wrong where people look."],
    )


class AttributeBody(Body):
    """A further attribute that these weights predict: a number on a scale, or a class."""

    value: float | None
    std: float | None = Field(description="expected error of the value, if it is known")
    label: str | None = Field(description="the most likely class")
    probabilities: dict[str, float] | None = Field(
        description="probabilities of all classes, which sum to 1"
    )


class UncertaintyBody(Body):
    """How far the prediction can be trusted; unknown values are null."""

    score_error_std: float | None = Field(description="expected error of the score, in points")
    score_model_std: float | None = Field(
        description="standard deviation of the score between several networks"
    )
    map_disagreement: float | None = Field(
        description="disagreement of several networks' maps, 0..1"
    )


class ModelName(Body):
    """The weights that answered."""

    name: str = Field(examples=["aesthetic-saliency"])
    version: str = Field(examples=["0.1.0"])


class Timings(Body):
    """Milliseconds; `forward_ms` is of the whole batch that the image was computed in."""

    queue_ms: float
    decode_ms: float
    forward_ms: float
    render_ms: float
    total_ms: float


class Computation(Body):
    """Facts about the computation of an answer."""

    model: ModelName
    device: str = Field(examples=["cpu"])
    timings: Timings


class PhotoBody(Computation):
    """The photo of an answer, and the version of the JSON."""

    schema_version: int = Field(description="version of this JSON", examples=[2])
    image: str = Field(description="file name as sent; empty if none was sent", examples=["a.jpg"])
    width: int = Field(description="pixels of the upright photo", examples=[640])
    height: int = Field(description="pixels of the upright photo", examples=[480])


class CropBody(Body):
    """A proposed crop of the photo."""

    aspect: str = Field(examples=["16:9"])
    box: BoxBody
    kept_attention: float = Field(description="share of attention inside the crop", examples=[0.82])
    cut_attention: float = Field(
        description="share of attention close to its edges", examples=[0.05]
    )
    score: float | None = Field(description="aesthetic score of the crop, 1..10", examples=[6.4])
    rank: int = Field(description="1 = best of its aspect ratio", examples=[1])
    file: str | None = Field(description="always null; `saliency predict` names its file here")


class PredictionBody(PhotoBody):
    """The prediction for one photo. Values of a head that the weights lack are null."""

    score: float | None = Field(description="mean aesthetic score, 1..10", examples=[6.1])
    score_std: float | None = Field(
        description="standard deviation of raters' votes, in points", examples=[2.2]
    )
    disagreement: str | None = Field(
        description="the same in words, compared with other photos",
        examples=["people disagree", "people agree", "people disagree a lot"],
    )
    score_distribution: list[float] | None = Field(
        description="shares of the votes 1..10, which sum to 1",
        examples=[[0.02, 0.04, 0.08, 0.11, 0.14, 0.17, 0.18, 0.14, 0.08, 0.04]],
    )
    saliency: SaliencyBody | None
    quality: QualityBody | None
    attributes: dict[str, AttributeBody]
    uncertainty: UncertaintyBody | None
    notes: list[str] = Field(
        description="faults of the file, which was read in spite of them",
        examples=[["its JPEG data are damaged, so parts of the picture may be wrong"]],
    )
    overlay: str | None = Field(description="always null; `saliency predict` names its file here")
    map: str | None = Field(description="always null; `saliency predict` names its file here")
    crops: list[CropBody] = Field(description="always empty; `POST /v1/crops` proposes crops")
    map_png: str | None = Field(
        description="PNG of the saliency map in base64, peak white; only with `?map=8|16`"
    )


class ProblemBody(Body):
    """An error as RFC 9457 writes it."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    code: str = Field(
        description="short name of the error, for programs", examples=["image_undecodable"]
    )
    detail: str = Field(
        description="text for people: what was wrong and what would work",
        examples=["The image is empty: 0 bytes."],
    )
    request_id: str = Field(examples=["5f1d7a84c2b24d9c9a3c1d0f8f0f5a11"])


class BatchItem(Body):
    """One image of a batch: its prediction or its error."""

    name: str = Field(description="file name as sent", examples=["a.jpg"])
    prediction: PredictionBody | None
    error: ProblemBody | None


class BatchBody(Body):
    """One item per image, in the order of the request."""

    results: list[BatchItem]


class RegionBody(Body):
    """How much attention one box gets."""

    name: str = Field(
        description="name from the request, or the number of the box from 1", examples=["1"]
    )
    box: BoxBody = Field(description="the box, cut to the photo")
    share: float = Field(description="share of all attention, 0..1", examples=[0.31])
    share_per_area: float = Field(
        description="share divided by the box's share of the area; 1 = average", examples=[2.4]
    )
    peak: float = Field(
        description="strongest pixel inside, relative to the photo's peak, 0..1", examples=[0.9]
    )
    peak_at: Point
    rank: int = Field(description="1 = most attention of these boxes", examples=[1])


class RegionsBody(PhotoBody):
    """One region per box, in the order of the request."""

    regions: list[RegionBody]


class CropsBody(PhotoBody):
    """Crops by aspect ratio, best first; `score` is the whole photo's."""

    score: float | None
    crops: list[CropBody]


class Limits(Body):
    """The largest requests that are accepted."""

    max_bytes: int
    max_pixels: int
    max_images: int
    max_boxes: int


class ModelBody(Body):
    """The description of the service's weights, and its limits."""

    name: str
    version: str
    sha256: str
    license: str
    commit: str
    data: list[str]
    metrics: dict[str, dict[str, float]]
    score_quantiles: list[float] | None = Field(
        description="scores of everyday photos, the lowest to the highest in even steps; null "
        "where no reference lies beside the weights"
    )
    architecture: dict[str, Any]
    preprocessing: dict[str, Any]
    device: str
    precision: str
    limits: Limits


class Status(Body):
    """The state of the service."""

    status: str = Field(examples=["ok"])
