"""A client of the HTTP service: it returns the same records as the library.

Example:
    >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     record = client.predict("photo.jpg")
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from saliency.errors import ImageError, SaliencyError
from saliency.extras import require_extra
from saliency.insights import AspectRatio, Box, Region
from saliency.records import CropRecord, Record, RegionRecord
from saliency.threads import map_ahead

with require_extra("`saliency.client`", "client"):
    import httpx

Photo: TypeAlias = str | os.PathLike[str] | bytes
"""A path, or a file's bytes."""


class ServiceError(SaliencyError):
    """The service has refused a request, or has not answered.

    Attributes:
        status: HTTP status; 0 if no answer came.
        code: A short name for programs, such as "image_undecodable".
    """

    def __init__(self, detail: str, status: int, code: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, code


class Client:
    """A client of one service; several threads may call at once.

    Args:
        url: Address of the service.
        key: An API key, if the service asks for one.
        timeout_s: Longest time to wait for an answer, in seconds.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, timeout_s: float = 60.0
    ) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout_s,
            # Drop connections before the service closes them: a request on a closed one fails.
            limits=httpx.Limits(keepalive_expiry=2),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, photo: Photo) -> Record:
        """Return the record of a photo.

        Args:
            photo: The photo's path, which names the record, or its bytes.

        Raises:
            ImageError: The file cannot be read on this machine.
            ServiceError: The service cannot read the photo, refuses, or does not answer.
        """
        record = Record.from_json(self._post("/v1/predict", photo).json())
        return replace(record, image="" if isinstance(photo, bytes) else os.fspath(photo))

    def predict_many(
        self, photos: Iterable[Photo], *, at_once: int = 4
    ) -> Iterator[Record | SaliencyError]:
        """Yield the records of many photos; a photo that fails does not stop the others.

        Args:
            photos: Paths or bytes, as for `predict`; read as they are needed.
            at_once: Number of requests at a time, >= 1.

        Yields:
            The record of each photo, or the error that says why there is none, in order.
        """

        def predict(photo: Photo) -> Record | SaliencyError:
            try:
                return self.predict(photo)
            except SaliencyError as error:
                return error

        return map_ahead(predict, photos, at_once)

    def density(self, photo: Photo) -> NDArray[np.float32]:
        """Return the saliency map: (H, W) float32, >= 0, sums to 1, at the photo's own size.

        Raises:
            SaliencyError: As for `predict`.
        """
        answer = self._post("/v1/predict", photo, accept="application/x-npy")
        density: NDArray[np.float32] = np.load(io.BytesIO(answer.content), allow_pickle=False)
        return density

    def picture(
        self,
        photo: Photo,
        render: Literal["overlay", "heatmap", "map"] = "overlay",
        *,
        legend: bool = False,
    ) -> bytes:
        """Return a PNG of the saliency map.

        Args:
            photo: As for `predict`.
            render: Style of the picture: a glow on the photo, a heat map, or shades of grey.
            legend: Whether a line below an overlay says what its colours mean.

        Raises:
            SaliencyError: As for `predict`.
        """
        query = {"render": render} | ({"legend": "true"} if legend else {})
        return self._post("/v1/predict", photo, accept="image/png", query=query).content

    def regions(self, photo: Photo, regions: Sequence[Region | Box]) -> list[RegionRecord]:
        """Return how much attention each region gets, in order.

        Args:
            photo: As for `predict`.
            regions: Boxes, named or not, in pixels of the photo.

        Raises:
            SaliencyError: As for `predict`, or a box lies outside the photo.
        """
        boxes = []
        for region in regions:
            name, box = ("", region) if isinstance(region, Box) else (region.name, region.box)
            sides = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
            boxes.append({"name": name, **sides})
        answer = self._post("/v1/regions", photo, fields={"boxes": json.dumps(boxes)})
        return [RegionRecord.from_json(region) for region in answer.json()["regions"]]

    def crops(
        self, photo: Photo, aspects: Sequence[AspectRatio | str] = ("1:1",), count: int = 1
    ) -> list[CropRecord]:
        """Return crops of a photo, by shape, the best of each first.

        Args:
            photo: As for `predict`.
            aspects: Aspect ratios, such as "16:9".
            count: Largest number of crops of each shape.

        Raises:
            SaliencyError: As for `predict`, or an aspect ratio is invalid.
        """
        shapes = [str(aspect) for aspect in aspects]
        query: dict[str, str | list[str]] = {"aspect": shapes, "count": str(count)}
        answer = self._post("/v1/crops", photo, query=query)
        return [CropRecord.from_json(crop) for crop in answer.json()["crops"]]

    def model(self) -> dict[str, Any]:
        """Return the description of the weights, and what the service accepts.

        Raises:
            ServiceError: The service refuses, or does not answer.
        """
        card: dict[str, Any] = self._ask("GET", "/v1/model").json()
        return card

    def _post(
        self,
        path: str,
        photo: Photo,
        *,
        accept: str = "application/json",
        query: Mapping[str, str | list[str]] | None = None,
        fields: dict[str, str] | None = None,
    ) -> httpx.Response:
        return self._ask(
            "POST",
            path,
            params=query,
            data=fields,
            files={"image": ("photo", _read(photo))},
            headers={"Accept": accept},
        )

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"The service should answer at {self._http.base_url}. "
                f"Found: {type(error).__name__} {error}.",
                0,
                "no_answer",
            ) from error
        if answer.is_success:
            return answer
        try:
            problem = answer.json()
            detail, code = str(problem["detail"]), str(problem["code"])
        except (ValueError, TypeError, KeyError):  # not this service's JSON, perhaps a proxy's
            detail = f"The service answered {answer.status_code} {answer.reason_phrase}."
            code = "no_problem_document"
        raise ServiceError(detail, answer.status_code, code)


def _read(photo: Photo) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return Path(photo).read_bytes()
    except OSError as error:
        raise ImageError(f"{os.fspath(photo)} cannot be read: {error.strerror}.") from error
