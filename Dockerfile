# The HTTP service with the released weights inside.
#   docker build -t aesthetic-saliency .                          # computes on the CPU
#   docker build -t aesthetic-saliency --build-arg DEVICE=cuda .  # on a GPU; run it with --gpus all
#   docker run --read-only --cap-drop ALL -p 8000:8000 -e SALIENCY_API_KEYS=... aesthetic-saliency
# On a CPU the image uses ONNX Runtime and has no PyTorch. It takes about 0.6 GB (470 MB of packages, the
# rest is Python's slim image; this is a sum, no image was built). Your own weights need their exported
# networks beside them (`saliency export`). With DEVICE=cuda the image has PyTorch, and its CUDA takes
# another 5 GB. PACKAGE_INDEX names another package index.
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ARG DEVICE=cpu
ARG PACKAGE_INDEX=""
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:$PATH
# PyTorch has a layer of its own, because it is large and changes rarely; the ranges are those of
# pyproject.toml.
# hadolint ignore=DL3013
RUN python -m venv /opt/venv \
    && if [ "$DEVICE" != cpu ]; then \
        pip install ${PACKAGE_INDEX:+-i "$PACKAGE_INDEX"} "torch>=2.3" "torchvision>=0.18"; \
    fi
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY weights weights
COPY saliency saliency
COPY service service
# hadolint ignore=DL3013
RUN if [ "$DEVICE" = cpu ]; then extras=serve; else extras=serve,torch; fi \
    && pip install ${PACKAGE_INDEX:+-i "$PACKAGE_INDEX"} ".[$extras]"

FROM python:${PYTHON_VERSION}-slim-bookworm
ARG DEVICE=cpu
COPY --from=build /opt/venv /opt/venv
# Nothing is written at run time, so the root file system can be read-only; PyTorch only insists on
# a folder for temporary files, and every container has this one in memory.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/dev/shm \
    SALIENCY_DEVICE=${DEVICE} \
    SALIENCY_HOST=0.0.0.0 \
    SALIENCY_PORT=8000 \
    SALIENCY_LOG_FORMAT=json
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['SALIENCY_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["saliency-serve"]
