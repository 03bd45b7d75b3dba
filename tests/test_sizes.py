"""Sizes keep their proportions."""

import pytest

from saliency.sizes import fit_within


@pytest.mark.parametrize(
    ("size", "max_side_px", "fitted"),
    [
        ((480, 640), 320, (240, 320)),
        ((640, 480), 320, (320, 240)),
        ((480, 640), 640, (480, 640)),
        ((480, 640), 9000, (480, 640)),
        ((480, 640), None, (480, 640)),
        ((1, 9999), 96, (1, 96)),
        ((480, 640), 0, (1, 1)),
    ],
)
def test_the_longer_side_fits_and_the_other_follows(size, max_side_px, fitted):
    assert fit_within(size, max_side_px) == fitted
