"""Path, bytes, PIL image or array -> upright RGB array, within limits."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base as ExifTag
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from saliency.errors import ImageDecodeError, ImageError, ImageTooLargeError

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
"""A path, a file's bytes, a PIL image of any mode, or an upright RGB array (H, W, 3) uint8."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif"}
)
"""Names to look for in a folder. `read_image` itself goes by a file's first bytes."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What is refused before any pixel is decoded."""

    max_bytes: int = 200 * 2**20  # of the file: no camera writes more for one photo
    max_pixels: int = 200_000_000  # height x width: above every camera, 600 MB as RGB


DEFAULT_LIMITS = ImageLimits()

MAX_SCANS = 100
"""Passes over a progressive JPEG; encoders write about ten."""


Enough: TypeAlias = Callable[[tuple[int, int]], tuple[int, int]]
"""Takes the (height, width) of an upright photo and returns how many of each are needed."""


class ReducedImage(NamedTuple):
    """A photo in as many pixels as somebody needs.

    Attributes:
        pixels: (h, w, 3) uint8, contiguous, upright RGB.
        size: (height, width) of the whole photo.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]


def read_image(source: ImageSource, *, limits: ImageLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Read a photo as people see it: upright, RGB, eight bits.

    Reads JPEG, PNG, WebP, TIFF, BMP, GIF and, with the extra `heic`, HEIC; of several frames or
    pages the first. EXIF orientation is applied, to a PIL image as well. Transparency is
    composited on white. Sixteen bits are scaled to eight, not clipped; float grey is taken as
    0..1. Where 32-bit or float values leave that range, it is widened to hold them; NaN is black.

    Note:
        Colour profiles are not applied. Pillow keeps the high byte of 16-bit colour, which is at
        most one level off; 16-bit grey is rounded.

    Args:
        source: The photo. An array is taken as upright RGB and not copied if it is contiguous.
        limits: Largest file and largest picture to accept.

    Returns:
        (H, W, 3) uint8, contiguous.

    Raises:
        ImageDecodeError: The bytes are no image of these kinds, or are damaged.
        ImageTooLargeError: The file or the picture is beyond `limits`.
        ImageError: There is no such file, or `source` is something else altogether.
    """
    return read_reduced(source, lambda size: size, limits=limits).pixels


def read_reduced(
    source: ImageSource,
    enough: Enough,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> ReducedImage:
    """Read a photo as `read_image` does, a large JPEG in fewer pixels, which takes less time.

    JPEG's cosine transform gives a half, a quarter or an eighth of each side without the pixels
    in between; of 12 megapixels a quarter takes a fifth of the time. Other images come whole.

    Args:
        source: The photo.
        enough: Takes the (height, width) of the upright photo and returns those that are needed:
            the smallest that JPEG has with at least as many rows and columns is read.
        limits: Largest file and largest picture to accept.

    Raises:
        ImageError: As of `read_image`.
    """
    match source:
        case np.ndarray():
            array = _check_array(source, limits)
            return ReducedImage(array, (array.shape[0], array.shape[1]))
        case Image.Image():
            return _decode(source, "the given image", limits)  # its pixels may be there
        case bytes():
            return _read_bytes(source, "the given bytes", limits, enough)
        case str() | os.PathLike():
            return _read_bytes(_read_file(source, limits), os.fspath(source), limits, enough)
    raise ImageError(
        f"An image should be a path, bytes, a PIL image or an array. Found {type(source).__name__}."
    )


def _check_array(array: NDArray[Any], limits: ImageLimits) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"An image array should be (height, width, 3) uint8. Found {array.shape} {array.dtype}."
        )
    _check_pixels(array.shape[:2], "the given array", limits)
    return np.ascontiguousarray(array)


def _read_file(path: str | os.PathLike[str], limits: ImageLimits) -> bytes:
    try:
        status = Path(path).stat()
        # Pipes and devices have no size to check, and reading one may never end.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path} should be a file, not a folder or device.")
        _check_bytes(status.st_size, os.fspath(path), limits)
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise ImageError(f"{path} cannot be read: {error}.") from error


def _read_bytes(data: bytes, name: str, limits: ImageLimits, enough: Enough) -> ReducedImage:
    if not data:
        raise ImageDecodeError(f"{name} is empty: 0 bytes.")
    _check_bytes(len(data), name, limits)
    reader = _find_reader(data, name)
    if reader is JpegImageFile:
        _check_scans(data, name)
    with _one_error(name):
        image = reader(BytesIO(data))  # reads the header only
    return _decode(image, name, limits, enough)


# A marker with a length after it, or the end of the image (D9).
_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")


def _check_scans(data: bytes, name: str) -> None:
    """Refuse a JPEG of many passes: each costs as much as all pixels and takes but 70 bytes."""
    scans = at = 0
    while (found := _JPEG_MARKER.search(data, at)) and found[1] != b"\xd9":
        scans += found[1] == b"\xda"
        if scans > MAX_SCANS:
            raise ImageDecodeError(
                f"{name} should be a JPEG of at most {MAX_SCANS} scans. Found more."
            )
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")


class _TiffReader(TiffImageFile):
    """TIFF without Pillow's own pixel limit, which would warn or raise while it decodes."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()


_HEIC_BRANDS = rb".{4}ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)"

# `Image.open` would bring Pillow's pixel limit, a warning or an error of its own, and formats
# that nobody asked for. Its reader classes bring neither and need no global setting.
_READERS: dict[bytes, type[ImageFile]] = {
    rb"\xff\xd8\xff": JpegImageFile,  # of a multi-picture (MPO) file: the first
    rb"\x89PNG\r\n\x1a\n": PngImageFile,
    rb"RIFF.{4}WEBP": WebPImageFile,
    rb"II[*+]\x00|MM\x00[*+]": _TiffReader,
    rb"GIF8[79]a": GifImageFile,
    rb"BM": BmpImageFile,
}


def _find_reader(data: bytes, name: str) -> type[ImageFile]:
    for signature, reader in _READERS.items():
        if re.match(signature, data, re.DOTALL):
            return reader
    if re.match(_HEIC_BRANDS, data, re.DOTALL):
        return _import_heic_reader(name)
    raise ImageDecodeError(
        f"{name} should be a JPEG, PNG, WebP, TIFF, BMP, GIF or HEIC image. "
        f"Found a file that starts with {data[:12]!r}."
    )


def _import_heic_reader(name: str) -> type[ImageFile]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageDecodeError(
            f"{name} is a HEIC image. To read it: pip install 'aesthetic-saliency[heic]'"
        ) from error
    reader: type[ImageFile] = HeifImageFile
    return reader


def _decode(
    image: Image.Image, name: str, limits: ImageLimits, enough: Enough | None = None
) -> ReducedImage:
    whole = image.height, image.width
    _check_pixels(whole, name, limits)
    with _one_error(name):
        if enough is not None and isinstance(image, JpegImageFile):
            turned = _TURNS.get(_read_orientation(image)) in _SWAPS
            height, width = enough(whole[::-1] if turned else whole)
            image.draft(None, (height, width) if turned else (width, height))
        reduced = (image.height, image.width) != whole
        image.load()
        # Only now: TIFF is turned by Pillow while it loads, PNG may hold EXIF after the pixels.
        turn = _TURNS.get(_read_orientation(image))
        upright = _to_rgb(image)
        if turn is not None:
            upright = upright.transpose(turn)
        pixels = np.array(upright)
    if not reduced:
        return ReducedImage(pixels, (pixels.shape[0], pixels.shape[1]))
    return ReducedImage(pixels, whole[::-1] if turn in _SWAPS else whole)


@contextmanager
def _one_error(name: str) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:
        # The few readers that test Pillow's limit by themselves: WebP, GIF.
        raise ImageTooLargeError(f"{name} has too many pixels: {error}") from error
    except Exception as error:  # on damaged bytes Pillow raises nearly every class there is
        reason = " ".join(str(error).split()) or type(error).__name__  # one line
        raise ImageDecodeError(f"{name} cannot be decoded: {reason}") from error


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes each EXIF orientation upright; 1 is."""

_SWAPS = frozenset(_TURNS[orientation] for orientation in (5, 6, 7, 8))
"""Those after which rows are columns."""


def _read_orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(ExifTag.Orientation)
    except Exception:  # damaged EXIF says nothing against the pixels
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_to_8_bits(np.asarray(image)))  # Pillow would clip at 255
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale deep grey (H, W) so that its nominal range, widened to hold all values, is 0..255."""
    finite = np.isfinite(values)
    nominal_white = 1.0 if values.dtype.kind == "f" else 65535.0
    black = float(values.min(initial=0, where=finite))
    white = max(nominal_white, float(values.max(initial=0, where=finite)))
    filled = np.nan_to_num(values.astype(np.float64), nan=black, posinf=white, neginf=black)
    return ((filled - black) * (255 / (white - black)) + 0.5).astype(np.uint8)


def _check_bytes(size: int, name: str, limits: ImageLimits) -> None:
    if size > limits.max_bytes:
        raise ImageTooLargeError(
            f"{name} should have at most {limits.max_bytes:,} bytes. Found {size:,}."
        )


def _check_pixels(size: tuple[int, ...], name: str, limits: ImageLimits) -> None:
    height, width = size
    if height * width > limits.max_pixels:
        raise ImageTooLargeError(
            f"{name} should have at most {limits.max_pixels:,} pixels. "
            f"Found {height * width:,}: height {height}, width {width}."
        )
