"""What anybody would write first: a handler that calls `Predictor.predict`. The one to beat."""

from __future__ import annotations

import logging

import uvicorn
from fastapi import FastAPI, Request

from saliency.allocator import keep_freed_memory
from saliency.predictor import Predictor
from service.api import describe_prediction


def main() -> None:
    """Serve `POST /v1/predict` on a free port."""
    logging.basicConfig(level=logging.INFO)
    keep_freed_memory()
    predictor = Predictor.load()
    app = FastAPI()

    @app.get("/readyz")
    def readyz() -> str:
        return "ready"

    @app.post("/v1/predict")
    async def predict(request: Request) -> dict[str, object]:
        prediction = predictor.predict(await request.body())
        return describe_prediction(prediction, None)

    uvicorn.run(app, port=0, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
