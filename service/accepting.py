"""The steps of every request that brings photos, from its head to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fastapi import Request

from saliency.checkpoint import find_weights
from saliency.score_reference import find_reference
from service.boxes import MAX_BOXES
from service.deadlines import while_wanted
from service.inference import Inference, Timing
from service.problems import Problem
from service.schemas import Limits, ModelBody, ModelName, Timings
from service.settings import Settings
from service.uploads import Form, Upload, read_form


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that is being processed.

    Attributes:
        form: Its images and text fields.
        timing: Timing of its photo; if it has several, each has a timing of its own.
    """

    form: Form
    timing: Timing

    @property
    def photo(self) -> Upload:
        """The photo of a request that has one."""
        return self.form.images[0]


class Service:
    """The state that all routes share.

    Attributes:
        inference: The Predictor and its queue.
        settings: The operator's settings.
        model: The answer of `GET /v1/model`.
    """

    def __init__(self, inference: Inference, settings: Settings, sha256: str) -> None:
        self.inference = inference
        self.settings = settings
        # A batch of more images than the queue holds could never be accepted.
        self._max_images = min(settings.max_images, settings.queue_length)
        predictor = inference.predictor
        card = predictor.card
        reference = find_reference(find_weights(settings.weights), sha256)
        self._name = ModelName(name="aesthetic-saliency", version=card.version)
        self.model = ModelBody(
            name=self._name.name,
            version=self._name.version,
            sha256=sha256,
            license=card.license,
            commit=card.commit,
            data=list(card.data),
            metrics={name: dict(values) for name, values in card.metrics.items()},
            score_quantiles=list(reference.quantiles) if reference else None,
            architecture=dict(predictor.architecture),
            preprocessing=asdict(predictor.preprocessing),
            device=str(predictor.device),
            precision=predictor.precision,
            limits=Limits(
                max_bytes=settings.max_bytes,
                max_pixels=settings.max_pixels,
                max_images=self._max_images,
                max_boxes=MAX_BOXES,
            ),
        )

    @asynccontextmanager
    async def accepted(
        self, request: Request, field: Literal["image", "images"] = "image"
    ) -> AsyncIterator[Accepted]:
        """Admit a request, read it and wait for its turn; cancel it if its client is gone.

        A request is admitted if the queue has a place for each of its photos. It is read within
        the limits, and processed when it is its photo's turn, as long as its client waits and time
        is left. If it has several photos, the route waits for the turn of each.

        Args:
            request: The request, with its body unread.
            field: Form field of the photo; `images` holds several photos.

        Raises:
            Problem: The body is invalid, or it arrives too slowly (408).
            QueueFullError: The queue has too few places at present.
            QueueClosedError: The service is not ready yet, or it is stopping.
            TimeoutError: The time is up.
            ClientDisconnect: The client has gone.
        """
        inference = self.inference
        async with inference.admit(1), asyncio.timeout(self.settings.timeout_s) as limit:
            try:
                form = await read_form(
                    request,
                    field,
                    max_bytes=self.settings.max_bytes,
                    max_images=self._max_images if field == "images" else 1,
                    raw=field == "image",
                )
            except asyncio.CancelledError:
                if limit.expired():
                    raise Problem(
                        408,
                        "upload_timeout",
                        f"The body should arrive within {self.settings.timeout_s:g} s.",
                    ) from None
                raise
            async with inference.admit(len(form.images) - 1), while_wanted(request):
                accepted = Accepted(form, Timing())
                if field == "images":
                    yield accepted
                    return
                async with inference.room(accepted.timing):
                    yield accepted

    def computation(self, timing: Timing) -> dict[str, Any]:
        """Return the fields of `Computation`."""
        return {
            "model": self._name,
            "device": self.model.device,
            "timings": Timings(**timing.to_ms()),
        }
