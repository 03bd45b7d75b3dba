from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, chelsea, coffee, rocket

from saliency.bench.photos import QUALITY, draw_photo, make_photo


def bits_a_pixel(image):
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=QUALITY)
    return 8 * len(file.getvalue()) / (image.shape[0] * image.shape[1])


@pytest.mark.parametrize(
    ("megapixels", "size"), [(0.3, (480, 640)), (2, (1224, 1632)), (12, (3000, 4000))]
)
def test_photo_has_the_size_that_was_asked_for(megapixels, size):
    photo = make_photo(megapixels)

    width, height = Image.open(BytesIO(photo.jpeg)).size
    assert (height, width) == photo.size == size


def test_drawing_takes_as_many_bits_as_photos_do():
    real = [bits_a_pixel(photo()) for photo in (astronaut, chelsea, coffee, rocket)]

    drawn = bits_a_pixel(draw_photo((480, 640)))

    assert min(real) < drawn < 1.2 * max(real)


def test_photo_of_the_user_is_what_is_measured():
    given = chelsea()

    photo = make_photo(0.3, given)

    shown = Image.open(BytesIO(photo.jpeg)).resize(given.shape[1::-1])
    assert np.abs(np.asarray(shown, float) - given).mean() < 5
