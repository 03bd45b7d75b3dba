"""Read a path, bytes, a PIL image or an array as an upright RGB array in sRGB, within limits.

`reading` puts the parts together: `formats` recognises files, `limits` refuses too large ones,
`jpeg`, `png` and `tiff` do what Pillow does not, `depth` scales deep samples to eight bits,
`colour` applies ICC profiles, `orientation` turns the picture upright.
"""

from saliency.images.formats import IMAGE_SUFFIXES
from saliency.images.limits import DEFAULT_LIMITS, ImageLimits
from saliency.images.reading import (
    Enough,
    ImageSource,
    OwnColours,
    ReducedImage,
    read_image,
    read_own_colours,
    read_reduced,
)

__all__ = [
    "DEFAULT_LIMITS",
    "IMAGE_SUFFIXES",
    "Enough",
    "ImageLimits",
    "ImageSource",
    "OwnColours",
    "ReducedImage",
    "read_image",
    "read_own_colours",
    "read_reduced",
]
