"""The JSON of the API. Pixels are of the upright photo, from its top-left corner."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_POINT = {"x": 210.5, "y": 98.0}


class Body(BaseModel):
    """Something that the service answers."""

    model_config = ConfigDict(frozen=True)


class Point(Body):
    """A place in the photo."""

    x: float = Field(description="pixels from the left edge", examples=[210.5])
    y: float = Field(description="pixels from the top edge", examples=[98.0])


class FocalPointBody(Point):
    """A place that draws attention."""

    share: float = Field(description="of all attention, in the area around it", examples=[0.31])
    order: int = Field(description="1 = looked at first, by share", examples=[1])


class SaliencyBody(Body):
    """The saliency map in a few numbers."""

    focal_points: list[FocalPointBody] = Field(description="by share, at most 5")
    entropy: float = Field(description="0 all in one place .. 1 even", examples=[0.83])
    concentration: float = Field(
        description="share of attention in the most looked-at tenth of the area", examples=[0.47]
    )
    center_of_mass: Point
    thirds_distance: float | None = Field(
        description="of the first focal point from a crossing of thirds, sides taken as 1",
        examples=[0.12],
    )
    left_right_balance: float = Field(description="-1 all left .. 1 all right", examples=[-0.08])


class ModelName(Body):
    """Which weights answered."""

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
    """How an answer was made."""

    model: ModelName
    device: str = Field(examples=["cpu"])
    timings: Timings


class PredictionBody(Computation):
    """What the network says of one photo. A head that the weights lack leaves null."""

    image_size: tuple[int, int] = Field(description="height, width, upright", examples=[[512, 512]])
    score: float | None = Field(description="mean aesthetic score, 1..10", examples=[6.1])
    score_std: float | None = Field(description="how much raters would differ", examples=[2.2])
    score_distribution: list[float] | None = Field(
        description="share of the votes 1..10, sums to 1",
        examples=[[0.02, 0.04, 0.08, 0.11, 0.14, 0.17, 0.18, 0.14, 0.08, 0.04]],
    )
    saliency: SaliencyBody | None
    attributes: dict[str, Any] | None = Field(
        None,
        description="what else these weights tell: a number, or a class with all probabilities",
        examples=[None],
    )
    uncertainty: dict[str, float] | None = Field(
        None, description="how far off the score may be, if these weights say so", examples=[None]
    )
    map: str | None = Field(
        None, description="PNG of the saliency map in base64, peak white; only with `?map=8|16`"
    )


class ProblemBody(Body):
    """An error as RFC 9457 writes it."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    code: str = Field(description="for programs", examples=["image_undecodable"])
    detail: str = Field(
        description="for people: what was wrong and what would work",
        examples=["The image is empty: 0 bytes."],
    )
    request_id: str = Field(examples=["5f1d7a84c2b24d9c9a3c1d0f8f0f5a11"])


class BatchItem(Body):
    """One image of a batch: its prediction or its error."""

    name: str = Field(description="file name as sent", examples=["a.jpg"])
    prediction: PredictionBody | None
    error: ProblemBody | None


class BatchBody(Body):
    """One item an image, in the order sent."""

    results: list[BatchItem]


class RegionBody(Body):
    """How much of the attention one box gets."""

    box: tuple[float, float, float, float] = Field(
        description="x, y, width, height, cut to the photo", examples=[[100, 50, 200, 120]]
    )
    share: float = Field(description="of all attention, 0..1", examples=[0.31])
    share_per_area: float = Field(description="1 = as much as by chance", examples=[2.4])
    peak: float = Field(description="relative to the photo's peak, 0..1", examples=[0.9])
    peak_at: Point
    rank: int = Field(description="1 = most attention of these boxes", examples=[1])


class RegionsBody(Computation):
    """One region a box, in the order asked."""

    image_size: tuple[int, int]
    regions: list[RegionBody]


class CropBody(Body):
    """A part of the photo worth keeping."""

    aspect: str = Field(examples=["16:9"])
    box: tuple[int, int, int, int] = Field(
        description="x, y, width, height", examples=[[0, 40, 512, 288]]
    )
    kept_attention: float = Field(description="share of attention inside", examples=[0.82])
    cut_attention: float = Field(description="share close to its edges", examples=[0.05])
    score: float | None = Field(description="aesthetic score of the crop, 1..10", examples=[6.4])
    rank: int = Field(description="1 = best of its aspect ratio", examples=[1])


class CropsBody(Computation):
    """Crops by aspect ratio, best first; `score` is the whole photo's."""

    image_size: tuple[int, int]
    score: float | None
    crops: list[CropBody]


class Limits(Body):
    """What is refused."""

    max_bytes: int
    max_pixels: int
    max_images: int
    max_boxes: int


class ModelBody(Body):
    """What the service runs on: the card of its weights."""

    name: str
    version: str
    sha256: str
    license: str
    commit: str
    data: list[str]
    metrics: dict[str, dict[str, float]]
    architecture: dict[str, Any]
    preprocessing: dict[str, Any]
    device: str
    precision: str
    limits: Limits


class Status(Body):
    """How the service is."""

    status: str = Field(examples=["ok"])
