"""The routes below `/v1`: read, ask, answer."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from io import BytesIO
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response

from saliency.errors import SaliencyError
from saliency.insights import (
    COARSE_SIDE,
    AspectRatio,
    Box,
    Crop,
    RegionAttention,
    measure_regions,
    propose_crops,
    rank_crops,
    require_density,
    summarize,
)
from saliency.rendering import (
    OVERLAY_SIDE_PX,
    encode_png,
    to_heatmap,
    to_overlay,
    to_saliency_map,
)
from saliency.types import Prediction
from service.deadlines import while_wanted
from service.inference import Inference, Predicted, Timing
from service.negotiation import negotiate
from service.problems import Problem, describe, to_problem
from service.schemas import (
    BatchBody,
    BatchItem,
    CropBody,
    CropsBody,
    FocalPointBody,
    Limits,
    ModelBody,
    ModelName,
    Point,
    PredictionBody,
    RegionBody,
    RegionsBody,
    SaliencyBody,
    Timings,
)
from service.settings import Settings
from service.uploads import RAW_TYPES, Form, Upload, read_form

JSON, PNG, NPY = "application/json", "image/png", "application/x-npy"
MAX_BOXES = 1000
MAX_ASPECTS = 10
CROP_CANDIDATES = 6
"""Crops an aspect ratio whose beauty is looked at."""

Render = Literal["overlay", "heatmap", "map"]
Bits = Literal["8", "16"]
R = TypeVar("R")


class Service:
    """What the routes share.

    Attributes:
        inference: The Predictor behind its queue.
        settings: The operator's.
        model: Answer of `GET /v1/model`.
    """

    def __init__(self, inference: Inference, settings: Settings, sha256: str) -> None:
        self.inference = inference
        self.settings = settings
        predictor = inference.predictor
        card = predictor.card
        self._name = ModelName(name="aesthetic-saliency", version=card.version)
        self.model = ModelBody(
            name=self._name.name,
            version=self._name.version,
            sha256=sha256,
            license=card.license,
            commit=card.commit,
            data=list(card.data),
            metrics={name: dict(values) for name, values in card.metrics.items()},
            architecture=dict(predictor.architecture),
            preprocessing=asdict(predictor.preprocessing),
            device=str(predictor.device),
            precision=predictor.precision,
            limits=Limits(
                max_bytes=settings.max_bytes,
                max_pixels=settings.max_pixels,
                max_images=settings.max_images,
                max_boxes=MAX_BOXES,
            ),
        )

    async def answer(
        self, request: Request, field: str, work: Callable[[Form, Timing], Coroutine[Any, Any, R]]
    ) -> R:
        """Admit a request, read it, and work on it while its client waits and time is left.

        Raises:
            Problem: 408 where the upload takes longer than the whole answer may.
            TimeoutError: The time is up.
        """
        several = field == "images"
        settings = self.settings
        async with self.inference.admit(1), asyncio.timeout(settings.timeout_s) as limit:
            try:
                form = await read_form(
                    request,
                    field,
                    max_bytes=settings.max_bytes,
                    max_images=settings.max_images if several else 1,
                    raw=not several,
                )
            except asyncio.CancelledError:
                if limit.expired():
                    raise Problem(
                        408,
                        "upload_timeout",
                        f"The body should arrive within {settings.timeout_s:g} s.",
                    ) from None
                raise
            async with self.inference.admit(len(form.images) - 1):
                return await while_wanted(request, self._in_turn(form, work, several))

    async def _in_turn(
        self, form: Form, work: Callable[[Form, Timing], Coroutine[Any, Any, R]], several: bool
    ) -> R:
        """Work once there is room for the photo; of several, each is to wait for its own."""
        timing = Timing()
        if several:
            return await work(form, timing)
        async with self.inference.room(timing):
            return await work(form, timing)

    def computation(self, timing: Timing) -> dict[str, Any]:
        """Return the fields of `Computation`."""
        return {
            "model": self._name,
            "device": self.model.device,
            "timings": Timings(**timing.to_ms()),
        }


def build_api(service: Service, gate: Callable[[Request], Coroutine[Any, Any, None]]) -> APIRouter:
    """Return the routes below `/v1`, behind `gate`."""
    inference = service.inference
    api = APIRouter(
        prefix="/v1", dependencies=[Depends(gate)], responses=describe(401, 429), tags=["v1"]
    )
    about_an_image = describe(400, 408, 413, 415, 422, 503, 504)

    @api.post(
        "/predict",
        response_model=PredictionBody,
        responses={
            200: {
                "description": "The prediction, as `Accept` asks.",
                "content": {
                    PNG: {"schema": {"type": "string", "format": "binary"}},
                    NPY: {"schema": {"type": "string", "format": "binary"}},
                },
            },
            **describe(406),
            **about_an_image,
        },
        openapi_extra=_image_body("image"),
    )
    async def predict(
        request: Request,
        render: Annotated[Render, Query(description="what an image/png shows")] = "overlay",
        bits: Annotated[Bits, Query(description="of a `render=map`")] = "8",
        with_map: Annotated[
            Bits | None, Query(alias="map", description="bits of a map in the JSON")
        ] = None,
    ) -> Response:
        """Predict where people look and how good a photo looks.

        `Accept: application/json` for numbers, `image/png` for a picture (`render=overlay`,
        `heatmap` or `map`), `application/x-npy` for the density: (H, W) float32, sums to 1.
        """
        media_type = negotiate(", ".join(request.headers.getlist("accept")), (JSON, PNG, NPY))

        async def work(form: Form, timing: Timing) -> Response:
            data = form.images[0].data
            if media_type == JSON:
                made = await inference.predict(
                    data, timing, lambda p: describe_prediction(p.prediction, with_map)
                )
                body = PredictionBody(**made, **service.computation(timing))
                return Response(body.model_dump_json(), media_type=JSON)
            if media_type == NPY:
                return Response(await inference.predict(data, timing, _to_npy), media_type=NPY)
            picture = await inference.predict(
                data,
                timing,
                lambda p: _draw(p, render, bits),
                picture_side_px=OVERLAY_SIDE_PX if render == "overlay" else 0,
            )
            return Response(picture, media_type=PNG)

        return await service.answer(request, "image", work)

    @api.post(
        "/predict/batch",
        response_model=BatchBody,
        responses=about_an_image,
        openapi_extra=_image_body("images"),
    )
    async def predict_batch(request: Request) -> BatchBody:
        """Predict several images; each gets its result or its error, in the order sent."""

        async def work(form: Form, _: Timing) -> BatchBody:
            return BatchBody(results=await asyncio.gather(*map(one, form.images)))

        async def one(upload: Upload) -> BatchItem:
            timing = Timing()
            try:
                async with inference.room(timing):
                    made = await inference.predict(
                        upload.data, timing, lambda p: describe_prediction(p.prediction, None)
                    )
            except SaliencyError as error:
                return BatchItem(name=upload.name, prediction=None, error=to_problem(error).body())
            body = PredictionBody(**made, **service.computation(timing))
            return BatchItem(name=upload.name, prediction=body, error=None)

        return await service.answer(request, "images", work)

    @api.post(
        "/regions",
        response_model=RegionsBody,
        responses=about_an_image,
        openapi_extra=_image_body(
            "image", boxes={"type": "string", "example": "[[100, 50, 200, 120]]"}
        ),
    )
    async def regions(
        request: Request,
        box: Annotated[list[str], Query(description="x,y,width,height in pixels; repeat it")] = [],  # noqa: B006  # FastAPI copies it
    ) -> RegionsBody:
        """Measure how much of the attention each box gets.

        Boxes come as `box=x,y,width,height` in the query or, in a form, as JSON in its field
        `boxes`: [[x, y, width, height], ...]. What lies outside the photo is cut off.
        """

        async def work(form: Form, timing: Timing) -> RegionsBody:
            boxes = _read_boxes(box, form.fields.get("boxes", []))

            def measure(predicted: Predicted) -> tuple[tuple[int, int], list[RegionAttention]]:
                density = require_density(predicted.prediction.density)
                return predicted.prediction.image_size, measure_regions(density, boxes)

            image_size, found = await inference.predict(form.images[0].data, timing, measure)
            bodies = [
                RegionBody(
                    box=(r.box.x, r.box.y, r.box.width, r.box.height),
                    share=r.share,
                    share_per_area=r.share_per_area,
                    peak=r.peak,
                    peak_at=Point(x=r.peak_at[0], y=r.peak_at[1]),
                    rank=r.rank,
                )
                for r in found
            ]
            return RegionsBody(image_size=image_size, regions=bodies, **service.computation(timing))

        return await service.answer(request, "image", work)

    @api.post(
        "/crops",
        response_model=CropsBody,
        responses=about_an_image,
        openapi_extra=_image_body("image"),
    )
    async def crops(
        request: Request,
        aspect: Annotated[
            list[str],
            Query(description="width:height; repeat it", max_length=MAX_ASPECTS),
        ] = ["1:1", "4:5", "16:9"],  # noqa: B006  # FastAPI copies it
        count: Annotated[int, Query(ge=1, le=CROP_CANDIDATES, description="per aspect")] = 3,
    ) -> CropsBody:
        """Suggest crops, best first: by the attention they keep and by their own score."""

        async def work(form: Form, timing: Timing) -> CropsBody:
            aspects = [AspectRatio.parse(text) for text in aspect]

            def propose(predicted: Predicted) -> tuple[Predicted, list[list[Crop]]]:
                whole = predicted.prediction
                density = require_density(whole.density_within(COARSE_SIDE))
                return predicted, [
                    propose_crops(density, a, CROP_CANDIDATES, image_size=whole.image_size)
                    for a in aspects
                ]

            predicted, proposals = await inference.predict(
                form.images[0].data, timing, propose, picture_side_px=None
            )
            bodies: list[CropBody] = []
            for proposed in proposals:
                parts = [predicted.image[crop.box.pixels] for crop in proposed]
                scores = await asyncio.gather(
                    *(inference.predict(part, timing, _to_score) for part in parts)
                )
                ranked = rank_crops(proposed, scores, count)
                bodies += [
                    CropBody(
                        aspect=str(c.aspect),
                        box=(int(c.box.x), int(c.box.y), int(c.box.width), int(c.box.height)),
                        kept_attention=c.kept_attention,
                        cut_attention=c.cut_attention,
                        score=c.score,
                        rank=c.rank,
                    )
                    for c in ranked
                ]
            return CropsBody(
                image_size=predicted.prediction.image_size,
                score=predicted.prediction.score,
                crops=bodies,
                **service.computation(timing),
            )

        return await service.answer(request, "image", work)

    @api.get("/model", response_model=ModelBody)
    async def model() -> ModelBody:
        """Return what the weights are, how well they do, and what this service accepts."""
        return service.model

    return api


def describe_prediction(prediction: Prediction, map_bits: Bits | None) -> dict[str, Any]:
    """Return the fields of `PredictionBody` that depend on the prediction."""
    distribution = prediction.score_distribution
    saliency = encoded = None
    density = prediction.density_within(COARSE_SIDE)
    if density is not None:
        summary = summarize(density, image_size=prediction.image_size)
        x, y = summary.center_of_mass
        saliency = SaliencyBody(
            focal_points=[
                FocalPointBody(x=p.x, y=p.y, share=p.share, order=p.order)
                for p in summary.focal_points
            ],
            entropy=summary.entropy,
            concentration=summary.concentration,
            center_of_mass=Point(x=x, y=y),
            thirds_distance=summary.thirds_distance,
            left_right_balance=summary.left_right_balance,
        )
        if map_bits is not None:
            encoded = base64.b64encode(_draw_map(prediction, map_bits)).decode()
    return {
        "image_size": prediction.image_size,
        "score": prediction.score,
        "score_std": prediction.score_std,
        "score_distribution": None if distribution is None else distribution.tolist(),
        "saliency": saliency,
        "map": encoded,
        **prediction.extra_fields(),
    }


def _draw(predicted: Predicted, render: Render, bits: Bits) -> bytes:
    prediction = predicted.prediction
    match render:
        case "map":
            return _draw_map(prediction, bits)
        case "heatmap":
            return encode_png(to_heatmap(require_density(prediction.density)))
        case "overlay":
            density = require_density(prediction.density_within(OVERLAY_SIDE_PX))
            return encode_png(to_overlay(predicted.image, density))


def _draw_map(prediction: Prediction, bits: Bits) -> bytes:
    density = require_density(prediction.density)
    if bits == "16":
        return encode_png(to_saliency_map(density, bits=16))
    return encode_png(to_saliency_map(density, bits=8))


def _to_npy(predicted: Predicted) -> bytes:
    file = BytesIO()
    np.save(file, require_density(predicted.prediction.density), allow_pickle=False)
    return file.getvalue()


def _to_score(predicted: Predicted) -> float | None:
    return predicted.prediction.score


def _read_boxes(in_query: list[str], in_form: list[str]) -> list[Box]:
    """Return the boxes of a request; each source may name some.

    Raises:
        Problem: None, too many, or not in either form.
    """
    boxes = [Box.parse(text) for text in in_query[: MAX_BOXES + 1]]
    for text in in_form:
        try:
            rows = json.loads(text)
            boxes += [Box(*map(_to_float, row)) for row in rows[: MAX_BOXES + 1]]
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
            raise Problem(
                400,
                "bad_request",
                "`boxes` should be JSON such as [[x, y, width, height], ...]. "
                f"Found {text[:100]!r}.",
            ) from error
    if not 1 <= len(boxes) <= MAX_BOXES:
        found = "none" if not boxes else f"more than {MAX_BOXES}"
        raise Problem(
            400, "bad_request", f"A request should name 1 to {MAX_BOXES} boxes. Found {found}."
        )
    return boxes


def _to_float(value: object) -> float:
    """Return a number of JSON; a text of digits or `true` is none, though Python would take it."""
    if type(value) not in (int, float):
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def _image_body(field: str, **more: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI request body: a form, or (for one image) its bytes."""
    binary = {"type": "string", "format": "binary"}
    several = field == "images"
    images = {"type": "array", "items": binary, "minItems": 1} if several else binary
    content: dict[str, Any] = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {field: images, **more},
                "required": [field],
            }
        }
    }
    if not several:
        content |= {media_type: {"schema": binary} for media_type in RAW_TYPES}
    return {"requestBody": {"required": True, "content": content}}
