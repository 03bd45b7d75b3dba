"""Photos and overlays -> pictures small enough that thousands fit into one page."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2

from saliency.errors import ImageError
from saliency.images import read_reduced
from saliency.sizes import fit_within

SIDE_PX = 220
"""Longer side of a preview."""

QUALITY = 60
"""Of WebP: a photo takes about 5 kB."""


def to_preview(path: Path) -> str | None:
    """Return a picture as a `data:` address of a small WebP; None if it cannot be read any more."""
    try:
        image = read_reduced(path, lambda size: fit_within(size, SIDE_PX))
    except ImageError:
        return None
    height, width = fit_within(image.size, SIDE_PX)
    small = cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode()}"
