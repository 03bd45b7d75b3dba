"""Arithmetic of (height, width)."""


def fit_within(size: tuple[int, int], max_side_px: int | None) -> tuple[int, int]:
    """Return `size` (height, width), reduced to a longer side of `max_side_px` if it is larger.

    Proportions are kept to within half a pixel; a side is at least 1. None keeps the size.
    """
    if max_side_px is None or max(size) <= max_side_px:
        return size
    scale = max_side_px / max(size)
    height, width = size
    return max(1, round(height * scale)), max(1, round(width * scale))
