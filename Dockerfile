# The HTTP service with the released weights inside.
#   docker build -t aesthetic-saliency .                          # computes on the CPU
#   docker build -t aesthetic-saliency --build-arg DEVICE=cuda .  # on a GPU; run it with --gpus all
#   docker run --read-only --cap-drop ALL -p 8000:8000 -e SALIENCY_API_KEYS=... aesthetic-saliency
# PACKAGE_INDEX and TORCH_INDEX name other package indexes; with PyTorch's own index of CPU builds as
# TORCH_INDEX the image is several gigabytes smaller, because PyPI's build brings CUDA along.
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ARG PACKAGE_INDEX=""
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:$PATH
# PyTorch by itself, because it is large and changes rarely; the ranges are pyproject.toml's.
# hadolint ignore=DL3013
RUN python -m venv /opt/venv \
    && index="${TORCH_INDEX:-$PACKAGE_INDEX}" \
    && pip install ${index:+-i "$index"} "torch>=2.3" "torchvision>=0.18"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY weights weights
COPY saliency saliency
COPY service service
# hadolint ignore=DL3013
RUN pip install ${PACKAGE_INDEX:+-i "$PACKAGE_INDEX"} ".[serve,heic]"

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
