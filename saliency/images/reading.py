"""Read any source as an upright RGB array in sRGB."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from saliency.errors import ImageDecodeError, ImageError, ImageTooLargeError
from saliency.images.colour import is_srgb, is_srgb_like, to_srgb
from saliency.images.depth import from_integers, to_8_bits
from saliency.images.formats import find_bmp_profile, find_codes, find_reader, open_image
from saliency.images.jpeg import find_layout, load_jpeg
from saliency.images.limits import DEFAULT_LIMITS, ImageLimits, check_bytes, check_pixels
from saliency.images.orientation import find_turn, swaps
from saliency.images.png import clean_png, load_png
from saliency.images.tiff import read_tiff

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
"""A path, a file's bytes, a PIL image of any mode, or an upright RGB array (H, W, 3) uint8."""

Enough: TypeAlias = Callable[[tuple[int, int]], tuple[int, int]]
"""Function from the (height, width) of an upright photo to the needed (height, width)."""


class ReducedImage(NamedTuple):
    """A photo with as many pixels as needed.

    Attributes:
        pixels: (h, w, 3) uint8, contiguous, upright RGB in sRGB.
        size: (height, width) of the whole photo.
        notes: Faults of the file that did not prevent reading, as clauses without their subject,
            such as "its colour profile is ignored: it is damaged".
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


class OwnColours(NamedTuple):
    """A photo in the colours of its own profile, for writing it again.

    Attributes:
        pixels: (H, W, 3) uint8, contiguous, upright RGB.
        in_srgb: Result of `read_image`; the same array if nothing is converted.
        profile: ICC profile of `pixels`; None: they are in sRGB.
        exif: The photo's EXIF without its orientation; None if it has none.
        is_jpeg: Whether `read_reduced` might read it in fewer pixels.
        notes: As in `ReducedImage`.
    """

    pixels: NDArray[np.uint8]
    in_srgb: NDArray[np.uint8]
    profile: bytes | None
    exif: Image.Exif | None
    is_jpeg: bool
    notes: tuple[str, ...]


class _Decoded(NamedTuple):
    """A file's picture as it is stored: any mode of Pillow, neither turned nor converted.

    Attributes:
        image: The picture.
        profile: Its ICC profile.
        size: (height, width) before it was reduced.
        notes: Faults, as in `ReducedImage`.
    """

    image: Image.Image
    profile: bytes | None
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


def read_image(source: ImageSource, *, limits: ImageLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Read a photo as people see it: upright, RGB in sRGB, eight bits.

    Reads JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and, with the extra `heic`, HEIC; of an animation
    the first frame, of several pages the first that is no thumbnail. EXIF orientation is applied,
    to a PIL image as well; without one that of XMP. Colours are converted to sRGB by the embedded
    ICC profile; one that is damaged is ignored. Transparency is composited on white. Deep samples
    are scaled to eight bits (`depth`): integers by their range, floats by 0..1 or 0..255.

    Note:
        PNG's gAMA, cHRM and cICP are not applied, nor is light beyond white (HDR) mapped. Pillow
        keeps the high byte of 16-bit colour, which is at most one level off; 16-bit grey is
        rounded.

    Args:
        source: The photo. An array is taken as upright sRGB and not copied if it is contiguous.
        limits: Largest file and largest picture to accept.

    Returns:
        (H, W, 3) uint8, contiguous.

    Raises:
        ImageDecodeError: The bytes are not an image of these formats, are damaged, or have no
            certain meaning.
        ImageTooLargeError: The file or the picture is beyond `limits`.
        ImageError: There is no such file, or `source` is of another type.
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
    in between; of 12 megapixels a quarter takes a fifth of the time. Other images are read whole.

    Args:
        source: The photo.
        enough: Function from the (height, width) of the upright photo to the needed ones: the
            smallest size of the JPEG with at least as many rows and columns is read.
        limits: Largest file and largest picture to accept.

    Raises:
        ImageError: The photo cannot be read, as in `read_image`.
    """
    if isinstance(source, np.ndarray):
        array = _check_array(source, limits)
        return ReducedImage(array, (array.shape[0], array.shape[1]))
    decoded, name = _decode(source, limits, enough)
    with _one_error(name):
        image, notes = to_srgb(decoded.image, decoded.profile)
        turn = find_turn(decoded.image)
        pixels = _to_pixels(image, turn, name)
    size = decoded.size[::-1] if swaps(turn) else decoded.size
    return ReducedImage(pixels, size, (*decoded.notes, *notes))


def read_own_colours(path: Path, *, limits: ImageLimits = DEFAULT_LIMITS) -> OwnColours:
    """Read a photo upright and whole, without converting RGB to sRGB.

    Grey and CMYK are converted as in `read_image`; transparency is composited on white.

    Args:
        path: The photo.
        limits: Largest file and largest picture to accept.

    Raises:
        ImageError: The photo cannot be read, as in `read_image`.
    """
    decoded, name = _decode(path, limits, None)
    image, profile = decoded.image, decoded.profile
    with _one_error(name):
        turn = find_turn(image)
        converted, notes = to_srgb(image, profile)
        in_srgb = pixels = _to_pixels(converted, turn, name)
        if image.mode not in ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA"):
            profile = None
        elif profile and not is_srgb(image, profile):
            pixels = _to_pixels(image, turn, name)
    return OwnColours(
        pixels,
        in_srgb,
        profile or None,
        _copy_exif(image),
        isinstance(image, JpegImageFile),
        (*decoded.notes, *notes),
    )


def _decode(
    source: str | os.PathLike[str] | bytes | Image.Image, limits: ImageLimits, enough: Enough | None
) -> tuple[_Decoded, str]:
    """Return a source's picture and its name for messages."""
    match source:
        case Image.Image():
            name = "the given image"
            check_pixels((source.height, source.width), name, limits)
            with _one_error(name):
                source.load()
            size = source.height, source.width
            return _Decoded(source, source.info.get("icc_profile"), size), name
        case bytes():
            return _decode_bytes(source, "the given bytes", limits, enough), "the given bytes"
        case str() | os.PathLike():
            name = os.fspath(source)
            return _decode_bytes(_read_file(source, limits), name, limits, enough), name
    raise ImageError(
        f"An image should be a path, bytes, a PIL image or an array. Found {type(source).__name__}."
    )


def _check_array(array: NDArray[Any], limits: ImageLimits) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"An image array should be (height, width, 3) uint8. Found {array.shape} {array.dtype}."
        )
    check_pixels(array.shape[:2], "the given array", limits)
    return np.ascontiguousarray(array)


def _read_file(path: str | os.PathLike[str], limits: ImageLimits) -> bytes:
    try:
        status = Path(path).stat()
        # Pipes and devices have no size to check, and reading one may never end.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path} should be a file, not a folder or device.")
        check_bytes(status.st_size, os.fspath(path), limits)
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise ImageError(f"{path} cannot be read: {error}.") from error


def _decode_bytes(data: bytes, name: str, limits: ImageLimits, enough: Enough | None) -> _Decoded:
    if not data:
        raise ImageDecodeError(f"{name} is empty: 0 bytes.")
    check_bytes(len(data), name, limits)
    reader = find_reader(data, name)
    if reader is JpegImageFile:
        return _decode_jpeg(data, name, limits, enough)
    if reader is PngImageFile:
        return _decode_png(data, name, limits)
    if reader is TiffImageFile:
        with _one_error(name):
            page = read_tiff(data, name, limits)
        return _Decoded(page, page.info.get("icc_profile"), (page.height, page.width))
    with _one_error(name):
        image = open_image(reader, data)
    check_pixels((image.height, image.width), name, limits)
    with _one_error(name):
        image.load()
    profile = image.info.get("icc_profile")
    if reader is BmpImageFile:
        profile = find_bmp_profile(data)
    notes: tuple[str, ...] = ()
    codes = find_codes(data) if image.format in ("AVIF", "HEIF") and not profile else None
    if codes is not None and not is_srgb_like(codes):
        notes = ("it names other colours than sRGB's (CICP), which is not applied",)
    return _Decoded(image, profile, (image.height, image.width), notes)


def _decode_jpeg(data: bytes, name: str, limits: ImageLimits, enough: Enough | None) -> _Decoded:
    layout = find_layout(data, name)
    with _one_error(name):
        header = open_image(JpegImageFile, data)
    size = header.height, header.width
    check_pixels(size, name, limits)

    def reduce(image: JpegImageFile) -> None:
        if enough is not None:
            is_turned = swaps(find_turn(image))
            height, width = enough(size[::-1] if is_turned else size)
            image.draft(None, (height, width) if is_turned else (width, height))

    with _one_error(name):
        assert isinstance(header, JpegImageFile)  # noqa: S101  # for the type checker
        image, notes = load_jpeg(header, data, layout, reduce)
    profile = image.info.get("icc_profile")
    if profile is None and "icc_profile" in image.info:
        profile = b""  # parts of it are missing
    return _Decoded(image, profile, size, notes)


def _decode_png(data: bytes, name: str, limits: ImageLimits) -> _Decoded:
    with _one_error(name):
        png = clean_png(data)
        header = PngImageFile(BytesIO(png.data))
    size = header.height, header.width
    check_pixels(size, name, limits)
    with _one_error(name):
        image = load_png(png, header)
        if image is not header:
            image.getexif().update(header.getexif())
    return _Decoded(image, png.profile, size, png.notes)


@contextmanager
def _one_error(name: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        # The few readers that test Pillow's limit by themselves: WebP, GIF.
        raise ImageTooLargeError(f"{name} has too many pixels: {error}") from error
    except Exception as error:  # on damaged bytes Pillow raises nearly every class there is
        reason = " ".join(str(error).split()) or type(error).__name__  # one line
        raise ImageDecodeError(f"{name} cannot be decoded: {reason}") from error


def _to_pixels(image: Image.Image, turn: Image.Transpose | None, name: str) -> NDArray[np.uint8]:
    """Return (H, W, 3) of an image of any mode, turned."""
    if image.mode == "F" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        image = Image.fromarray(to_8_bits(values.astype(values.dtype.newbyteorder("=")), name))
    elif image.mode == "I":
        image = Image.fromarray(from_integers(np.asarray(image), name))
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, colours)
    upright = image if image.mode == "RGB" else image.convert("RGB")
    if turn is not None:
        upright = upright.transpose(turn)
    return np.array(upright)


def _copy_exif(image: Image.Image) -> Image.Exif | None:
    """Return a photo's EXIF for its upright pixels, or None if it has none that can be read."""
    try:
        exif = image.getexif()
        exif.pop(274, None)
        exif.tobytes()
    except Exception:  # the pixels may be fine despite damaged EXIF
        return None
    return exif if len(exif) else None
