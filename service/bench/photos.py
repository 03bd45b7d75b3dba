"""Photos to ask about."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data


def read_photos() -> list[NDArray[np.uint8]]:
    """Return the photos that ship inside scikit-image: cat, coffee, rocket, astronaut."""
    names = ("chelsea", "coffee", "rocket", "astronaut")
    return [np.asarray(getattr(data, name)(), dtype=np.uint8) for name in names]


def to_jpeg(photo: NDArray[np.uint8]) -> bytes:
    """Return a photo as a camera would write it."""
    file = BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=90)
    return file.getvalue()
