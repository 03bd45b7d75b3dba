"""Orientation of a picture, from EXIF or, if EXIF has none, from XMP."""

from PIL import Image
from PIL.ExifTags import Base as ExifTag

Turn = Image.Transpose | None
"""Transposition that makes a stored picture upright; None if it already is."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that makes each EXIF orientation upright; 1 already is."""

_SWAPS = frozenset(TURNS[orientation] for orientation in (5, 6, 7, 8))


def find_turn(image: Image.Image) -> Turn:
    """Return the transposition for `image`; Pillow uses XMP where EXIF has no orientation."""
    try:
        return TURNS.get(image.getexif().get(ExifTag.Orientation, 1))
    except Exception:  # the pixels may be fine despite damaged EXIF
        return None


def swaps(turn: Turn) -> bool:
    """Return whether a transposition turns rows into columns."""
    return turn in _SWAPS
