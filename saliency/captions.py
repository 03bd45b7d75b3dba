"""Titles above pictures, colour scales below them, and boxes with names on them."""

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

INK, PAPER = (40, 40, 40), (255, 255, 255)

SCALE_SHARE = 0.3
"""How much of a picture's width a colour scale takes."""


def to_text_size(image_size: tuple[int, int]) -> int:
    """Return the height of text, in pixels, that suits a picture of (height, width)."""
    return min(max(round(max(image_size) / 45), 11), 26)


def add_title(picture: NDArray[np.uint8], title: str, text_px: int) -> NDArray[np.uint8]:
    """Return a picture with a line of text above it, cut off where it is too long.

    Args:
        picture: (H, W, 3) uint8 RGB.
        title: One line.
        text_px: Height of the text; the line takes twice as much.

    Returns:
        (H + 2 * text_px, W, 3) uint8 RGB.
    """
    line = Image.new("RGB", (picture.shape[1], 2 * text_px), PAPER)
    text = " ".join(title.split())  # file names may have line breaks
    ImageDraw.Draw(line).text((text_px // 2, text_px), text, INK, _font(text_px), "lm")
    return np.vstack([np.asarray(line), picture])


def add_scale(
    picture: NDArray[np.uint8], scale: NDArray[np.uint8], ends: tuple[str, str], text_px: int
) -> NDArray[np.uint8]:
    """Return a picture with a colour scale, and what its ends mean, below it.

    Args:
        picture: (H, W, 3) uint8 RGB.
        scale: (1, N, 3) uint8 RGB, the colours from one end to the other.
        ends: What the first colour means and what the last; left out of a picture that is too
            narrow for them.
        text_px: Height of the text; the line takes twice as much.

    Returns:
        (H + 2 * text_px, W, 3) uint8 RGB.
    """
    width = picture.shape[1]
    line = Image.new("RGB", (width, 2 * text_px), PAPER)
    font, gap = _font(text_px), text_px // 2
    length = max(1, round(SCALE_SHARE * width))
    before, after = (font.getlength(end) for end in ends)
    left = gap + round(before) + gap
    if left + length + gap + after > width:
        left = 0
    else:
        draw = ImageDraw.Draw(line)
        draw.text((gap, text_px), ends[0], INK, font, "lm")
        draw.text((left + length + gap, text_px), ends[1], INK, font, "lm")
    bar = cv2.resize(scale, (length, text_px), interpolation=cv2.INTER_LINEAR)
    line.paste(Image.fromarray(bar.astype(np.uint8, copy=False)), (left, gap))
    return np.vstack([picture, np.asarray(line)])


def draw_boxes(
    picture: NDArray[np.uint8],
    boxes: Iterable[tuple[str, tuple[float, float, float, float]]],
    text_px: int,
) -> NDArray[np.uint8]:
    """Return a picture with named boxes: white in a dark edge, to be seen on any picture.

    Args:
        picture: (H, W, 3) uint8 RGB.
        boxes: Name and (left, top, right, bottom) of each, in pixels.
        text_px: Height of the names.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    drawn = Image.fromarray(picture)
    draw = ImageDraw.Draw(drawn)
    for name, (left, top, right, bottom) in boxes:
        for grown, colour in ((1, INK), (0, PAPER), (-1, PAPER)):
            x0, y0, x1, y1 = left - grown, top - grown, right - 1 + grown, bottom - 1 + grown
            draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=colour)
        x, y = left + 4, top + 3
        _, _, end_x, end_y = draw.textbbox((x, y), name, _font(text_px))
        draw.rectangle((left, top, end_x + 4, end_y + 4), INK)
        draw.text((x, y), name, PAPER, _font(text_px))
    return np.asarray(drawn)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font, which needs no file of this machine."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101  # it is one at every size
    return font
