"""The routes below `/v1`: predictions, regions and crops of photos."""

from __future__ import annotations

import asyncio
import base64
from io import BytesIO
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response

from saliency.errors import SaliencyError
from saliency.insights import (
    COARSE_SIDE,
    AspectRatio,
    Crop,
    measure_regions,
    propose_crops,
    rank_crops,
    require_density,
)
from saliency.records import (
    SCHEMA_VERSION,
    CropRecord,
    RegionRecord,
    regions_to_json,
    to_record,
)
from saliency.rendering import (
    OVERLAY_SIDE_PX,
    encode_png,
    to_heatmap,
    to_overlay,
    to_saliency_map,
)
from saliency.types import Prediction
from service.accepting import Service
from service.boxes import read_boxes
from service.inference import Predicted, Timing
from service.negotiation import negotiate
from service.problems import describe, to_problem
from service.schemas import (
    BatchBody,
    BatchItem,
    CropsBody,
    ModelBody,
    PredictionBody,
    RegionsBody,
)
from service.uploads import RAW_TYPES, Upload

JSON, PNG, NPY = "application/json", "image/png", "application/x-npy"
MAX_ASPECTS = 10
CROP_CANDIDATES = 6
"""Number of crops of each aspect ratio that are scored."""

Render = Literal["overlay", "heatmap", "map"]
Bits = Literal["8", "16"]


async def _pass_gate(request: Request) -> None:
    await request.app.state.gate(request)


async def _find_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Shared = Annotated[Service, Depends(_find_service)]

api = APIRouter(
    prefix="/v1",
    dependencies=[Depends(_pass_gate)],
    responses=describe(401, 429),
    tags=["v1"],
)
"""The router; it needs `app.state.service`, a `Service`, and `app.state.gate`, a `Gate`."""

ABOUT_AN_IMAGE = describe(400, 408, 413, 415, 422, 503, 504)


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


@api.post(
    "/predict",
    response_model=PredictionBody,
    responses={
        200: {
            "description": "The prediction, in the form that `Accept` asks for.",
            "content": {
                PNG: {"schema": {"type": "string", "format": "binary"}},
                NPY: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **describe(406),
        **ABOUT_AN_IMAGE,
    },
    openapi_extra=_image_body("image"),
)
async def predict(
    request: Request,
    service: Shared,
    render: Annotated[Render, Query(description="style of the picture, for image/png")] = "overlay",
    bits: Annotated[Bits, Query(description="bits per pixel, for `render=map`")] = "8",
    legend: Annotated[
        bool, Query(description="say in a line below an overlay what its colours mean")
    ] = False,
    with_map: Annotated[
        Bits | None,
        Query(alias="map", description="add `map_png` to the JSON, with so many bits per pixel"),
    ] = None,
) -> Response:
    """Predict where people look and how good a photo looks.

    `Accept: application/json` for numbers, `image/png` for a picture (`render=overlay`,
    `heatmap` or `map`), `application/x-npy` for the density: (H, W) float32, sums to 1.
    """
    media_type = negotiate(", ".join(request.headers.getlist("accept")), (JSON, PNG, NPY))
    async with service.accepted(request) as asked:
        if media_type == JSON:
            body = await _predict_one(service, asked.photo, asked.timing, with_map)
            return Response(body.model_dump_json(), media_type=JSON)
        drawn = await service.inference.predict(
            asked.photo.data,
            asked.timing,
            lambda p: (
                _to_npy(p.prediction) if media_type == NPY else _draw(p, render, bits, legend)
            ),
            picture_side_px=OVERLAY_SIDE_PX if (media_type, render) == (PNG, "overlay") else 0,
        )
        return Response(drawn, media_type=media_type)


@api.post(
    "/predict/batch",
    response_model=BatchBody,
    responses=ABOUT_AN_IMAGE,
    openapi_extra=_image_body("images"),
)
async def predict_batch(request: Request, service: Shared) -> BatchBody:
    """Predict several images; each gets its result or its error, in the order of the request."""

    async def one(upload: Upload) -> BatchItem:
        timing = Timing()
        try:
            async with service.inference.room(timing):
                body = await _predict_one(service, upload, timing)
        except SaliencyError as error:
            return BatchItem(name=upload.name, prediction=None, error=to_problem(error).body())
        return BatchItem(name=upload.name, prediction=body, error=None)

    async with service.accepted(request, "images") as asked:
        return BatchBody(results=await asyncio.gather(*map(one, asked.form.images)))


@api.post(
    "/regions",
    response_model=RegionsBody,
    responses=ABOUT_AN_IMAGE,
    openapi_extra=_image_body(
        "image", boxes={"type": "string", "example": "[[100, 50, 200, 120]]"}
    ),
)
async def regions(
    request: Request,
    service: Shared,
    box: Annotated[list[str], Query(description="x,y,width,height in pixels; repeatable")] = [],  # noqa: B006  # FastAPI copies it
) -> RegionsBody:
    """Measure how much of the attention each box gets.

    Boxes come as `box=x,y,width,height` in the query or, in a form, as JSON in its field `boxes`:
    [[x, y, width, height], ...] or [{"name": "title", "x": 0, "y": 0, "width": 9, "height": 9},
    ...]. Parts of a box outside the photo are cut off.
    """
    async with service.accepted(request) as asked:
        named = read_boxes(box, asked.form.fields.get("boxes", []))

        def measure(predicted: Predicted) -> dict[str, Any]:
            density = require_density(predicted.prediction.density)
            measured = measure_regions(density, [region.box for region in named])
            names = (region.name for region in named)
            records = [RegionRecord.of(*each) for each in zip(names, measured, strict=True)]
            return regions_to_json(asked.photo.name, predicted.prediction.image_size, records)

        found = await service.inference.predict(asked.photo.data, asked.timing, measure)
        return RegionsBody(**found, **service.computation(asked.timing))


@api.post(
    "/crops",
    response_model=CropsBody,
    responses=ABOUT_AN_IMAGE,
    openapi_extra=_image_body("image"),
)
async def crops(
    request: Request,
    service: Shared,
    aspect: Annotated[
        list[str],
        Query(description="width:height; repeatable", max_length=MAX_ASPECTS),
    ] = ["1:1", "4:5", "16:9"],  # noqa: B006  # FastAPI copies it
    count: Annotated[
        int, Query(ge=1, le=CROP_CANDIDATES, description="number of crops for each aspect")
    ] = 3,
) -> CropsBody:
    """Suggest crops, best first: by the attention they keep and by their own score."""
    async with service.accepted(request) as asked:
        aspects = [AspectRatio.parse(text) for text in aspect]

        def propose(predicted: Predicted) -> tuple[Predicted, list[list[Crop]]]:
            whole = predicted.prediction
            density = require_density(whole.density_within(COARSE_SIDE))
            return predicted, [
                propose_crops(density, a, CROP_CANDIDATES, image_size=whole.image_size)
                for a in aspects
            ]

        ask = service.inference.predict
        predicted, proposals = await ask(
            asked.photo.data, asked.timing, propose, picture_side_px=None
        )
        found: list[dict[str, Any]] = []
        for proposed in proposals:
            parts = [predicted.image[crop.box.pixels] for crop in proposed]
            scores = await asyncio.gather(
                *(ask(part, asked.timing, lambda p: p.prediction.score) for part in parts)
            )
            found += [CropRecord.of(c).to_json() for c in rank_crops(proposed, scores, count)]
        height, width = predicted.prediction.image_size
        return CropsBody(
            schema_version=SCHEMA_VERSION,
            image=asked.photo.name,
            width=width,
            height=height,
            score=predicted.prediction.score,
            crops=found,
            **service.computation(asked.timing),
        )


@api.get("/model", response_model=ModelBody)
async def model(service: Shared) -> ModelBody:
    """Return the description of the weights, their test results, and the service's limits."""
    return service.model


async def _predict_one(
    service: Service, upload: Upload, timing: Timing, map_bits: Bits | None = None
) -> PredictionBody:
    """Return the record of a photo when its turn has come, with its map if that is asked for."""

    def finish(predicted: Predicted) -> dict[str, Any]:
        record = to_record(upload.name, predicted.prediction, predicted.measured)
        encoded = None
        if map_bits is not None and record.saliency is not None:
            encoded = base64.b64encode(_draw_map(predicted.prediction, map_bits)).decode()
        return record.to_json() | {"map_png": encoded}

    found = await service.inference.predict(upload.data, timing, finish)
    return PredictionBody(**found, **service.computation(timing))


def _draw(predicted: Predicted, render: Render, bits: Bits, legend: bool) -> bytes:
    prediction = predicted.prediction
    match render:
        case "map":
            return _draw_map(prediction, bits)
        case "heatmap":
            return encode_png(to_heatmap(require_density(prediction.density)))
        case "overlay":
            density = require_density(prediction.density_within(OVERLAY_SIDE_PX))
            return encode_png(to_overlay(predicted.image, density, legend=legend))


def _draw_map(prediction: Prediction, bits: Bits) -> bytes:
    density = require_density(prediction.density)
    if bits == "16":
        return encode_png(to_saliency_map(density, bits=16))
    return encode_png(to_saliency_map(density, bits=8))


def _to_npy(prediction: Prediction) -> bytes:
    file = BytesIO()
    np.save(file, require_density(prediction.density), allow_pickle=False)
    return file.getvalue()
