"""The file formats that are read, by their first bytes and by their names."""

from __future__ import annotations

import re
from io import BytesIO

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from saliency.errors import ImageDecodeError

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
        *(".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
        *(".heic", ".heif", ".hif", ".avif", ".jxl"),
    }
)
"""Suffixes to look for in a folder. `read_image` itself uses a file's first bytes."""

# `Image.open` would bring Pillow's pixel limit, a warning or an error of its own, and formats
# that are not wanted. Its reader classes have neither and need no global setting.
_READERS: dict[bytes, type[ImageFile]] = {
    rb"\xff\xd8\xff": JpegImageFile,  # of a multi-picture (MPO) file: the first
    rb"\x89PNG\r\n\x1a\n": PngImageFile,
    rb"RIFF.{4}WEBP": WebPImageFile,
    rb"II[*+]\x00|MM\x00[*+]": TiffImageFile,
    rb"GIF8[79]a": GifImageFile,
    rb"BM": BmpImageFile,
}

_BOXES = re.compile(rb"(.{4})ftyp(.{4}).{4}", re.DOTALL)
"""Start of a file of the HEIF family: length, kind and main brand of its first box."""

_HEIC_BRANDS = re.compile(rb"hei[cmsx]|hev[cmsx]|mif1|msf1")
_AVIF_BRANDS = re.compile(rb"avi[fs]")
_JPEG_XL = re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n")


def find_reader(data: bytes, name: str) -> type[ImageFile]:
    """Return Pillow's class for a file, which reads only the header when it is opened.

    Args:
        data: Content of the file.
        name: Name for messages.

    Raises:
        ImageDecodeError: The file is of another kind, or its reader is not installed.
    """
    for signature, reader in _READERS.items():
        if re.match(signature, data, re.DOTALL):
            return reader
    if box := _BOXES.match(data):
        # A still picture may name its codec only among the compatible brands.
        brands = [box[2], *re.findall(rb".{4}", data[16 : int.from_bytes(box[1], "big")], re.S)]
        if any(_AVIF_BRANDS.fullmatch(brand) for brand in brands[:64]):
            return AvifImageFile
        if _HEIC_BRANDS.fullmatch(box[2]):
            return _import_heic_reader(name)
    if _JPEG_XL.match(data):
        return _import_jpeg_xl_reader(name)
    raise ImageDecodeError(
        f"{name} should be a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC or JPEG XL image. "
        f"Found a file that starts with {data[:12]!r}."
    )


def find_codes(data: bytes) -> tuple[int, int] | None:
    """Return the numbers of primaries and transfer function that a HEIC or AVIF names (CICP)."""
    found = re.search(rb"colrnclx(..)(..)", data, re.DOTALL)
    return None if found is None else (int.from_bytes(found[1]), int.from_bytes(found[2]))


def find_bmp_profile(data: bytes) -> bytes | None:
    """Return the ICC profile in a BMP, which only the longest kind of header has."""
    if len(data) < 138 or data[14:18] != b"\x7c\0\0\0" or data[70:74] != b"DEBM":
        return None
    start, size = (int.from_bytes(data[at : at + 4], "little") for at in (126, 130))
    return data[14 + start : 14 + start + size]


def open_image(reader: type[ImageFile], data: bytes) -> ImageFile:
    """Read the header of a file; raises nearly every class there is."""
    return reader(BytesIO(data))


def _import_heic_reader(name: str) -> type[ImageFile]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageDecodeError(
            f"{name} is a HEIC image. To read it: pip install 'aesthetic-saliency[heic]'"
        ) from error
    reader: type[ImageFile] = HeifImageFile
    return reader


def _import_jpeg_xl_reader(name: str) -> type[ImageFile]:
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError as error:
        raise ImageDecodeError(
            f"{name} is a JPEG XL image. To read it: pip install pillow-jxl-plugin"
        ) from error
    reader: type[ImageFile] = JXLImageFile
    return reader
