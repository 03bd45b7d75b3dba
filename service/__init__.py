"""The HTTP service: `saliency` behind FastAPI and uvicorn, with a web page on `/`."""
