"""A photo gets the same prediction in any file format: score within .03, CC at least .99.

Hypothesis chooses writer, container, mode, depth, profile and orientation; what the reader does
not take, it has to refuse by an `ImageError`.
"""

from io import BytesIO

import cv2
import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.data import chelsea

from saliency import Predictor
from saliency.errors import ImageError
from saliency.metrics import cc

PILLOW = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F", "I"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("L", "P"),
    "AVIF": ("RGB", "RGBA"),
}
# What a lossy file holds is no longer the photo; it is decoded by Pillow to be compared.
LOSSY = {"JPEG": {"quality": 98, "subsampling": 0}, "AVIF": {"quality": 98}}


def draw():
    return np.asarray(Image.fromarray(chelsea()).resize((384, 288)))


def to_mode(photo, mode):
    """Return the photo in a mode of Pillow, and in eight bits of RGB what that mode keeps of it."""
    image = Image.fromarray(photo)
    grey = image.convert("L")
    match mode:
        case "I;16":
            return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), grey
        case "F":
            return Image.fromarray(np.asarray(grey).astype(np.float32) / 255), grey
        case "I":
            return Image.fromarray(np.asarray(grey).astype(np.int32) * 257), grey
    kept = image.quantize(256) if mode == "P" else image.convert(mode)
    return kept, kept.convert("RGB")


@st.composite
def by_pillow(draw_from, photo):
    kind = draw_from(st.sampled_from(sorted(PILLOW)))
    image, kept = to_mode(photo, draw_from(st.sampled_from(PILLOW[kind])))
    options = dict(LOSSY.get(kind, {}), lossless=True)
    if kind == "GIF":
        options = {}
    if kind == "TIFF":
        packings = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]
        options["compression"] = draw_from(st.sampled_from(packings))
    if kind == "JPEG":
        options["progressive"] = draw_from(st.booleans())
    file = BytesIO()
    image.save(file, kind, **options)
    if kind in LOSSY:
        kept = Image.open(file)
    return file.getvalue(), np.asarray(kept.convert("RGB"))


@st.composite
def by_opencv(draw_from, photo):
    suffix = draw_from(st.sampled_from([".png", ".tiff", ".webp", ".bmp", ".jpg"]))
    deep = suffix in (".png", ".tiff") and draw_from(st.booleans())
    pixels = photo[:, :, ::-1]
    if draw_from(st.booleans()):
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    written = pixels.astype(np.uint16) * 257 if deep else pixels
    options = [cv2.IMWRITE_JPEG_QUALITY, 98] if suffix == ".jpg" else []
    data = cv2.imencode(suffix, written, options)[1].tobytes()
    if suffix == ".jpg":
        return data, np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    kept = pixels[:, :, ::-1] if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    return data, kept


@st.composite
def by_tifffile(draw_from, photo):
    dtype = draw_from(st.sampled_from(["u1", "u2", "u4", "f2", "f4", "f8", "i2"]))
    is_grey = draw_from(st.booleans())
    pixels = photo[:, :, 1] if is_grey else photo
    scale = {"u1": 1, "u2": 257, "u4": 257 * 65537, "i2": 128}.get(dtype, 1 / 255)
    samples = (pixels * np.float64(scale)).astype(dtype)
    planar = not is_grey and draw_from(st.booleans())
    inverted = is_grey and dtype[0] == "u" and draw_from(st.booleans())
    if inverted:
        samples = np.iinfo(samples.dtype).max - samples
    grey = "miniswhite" if inverted else "minisblack"
    file = BytesIO()
    tifffile.imwrite(
        file,
        np.moveaxis(samples, 2, 0) if planar else samples,
        photometric=grey if is_grey else "rgb",
        planarconfig=None if is_grey else "separate" if planar else "contig",
        byteorder=draw_from(st.sampled_from("<>")),
        compression=draw_from(st.sampled_from([None, "zlib", "lzw"])),
        predictor=False,
        tile=draw_from(st.sampled_from([None, (64, 48)])),
        bigtiff=draw_from(st.booleans()),
    )
    kept = np.repeat(pixels[:, :, None], 3, axis=2) if is_grey else pixels
    return file.getvalue(), kept


@st.composite
def by_pillow_heif(draw_from, photo):
    image = Image.fromarray(photo)
    if draw_from(st.booleans()):
        image = image.convert("L")
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=98, chroma=444)
    return file.getvalue(), np.asarray(pillow_heif.open_heif(file).to_pillow().convert("RGB"))


WRITERS = {
    "Pillow": by_pillow,
    "OpenCV": by_opencv,
    "tifffile": by_tifffile,
    "pillow-heif": by_pillow_heif,
}


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_the_same_photo_gives_the_same_prediction(writer, predictor):
    photo = draw()

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.data())
    def check(data):
        written, kept = data.draw(WRITERS[writer](photo))
        expected = predictor.predict(np.ascontiguousarray(kept))
        try:
            found = predictor.predict(written)
        except ImageError as error:
            if "signed" not in str(error):  # the only kind here that is refused
                raise
            return
        assert found.notes == ()
        assert abs(found.score - expected.score) <= 0.03
        assert cc(found.density, expected.density) >= 0.99

    check()
