from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from saliency.batch.marks import is_marked, mark


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_mark_is_found_and_changes_no_pixel(kind, tmp_path):
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, kind, exif=b"Exif\0\0" + bytes(500))
    path = tmp_path / "picture"
    path.write_bytes(file.getvalue())
    assert not is_marked(path)
    path.write_bytes(mark(file.getvalue()))
    assert is_marked(path)
    with Image.open(path) as marked:
        marked.verify()  # checksums
    with Image.open(path) as marked, Image.open(file) as before:
        np.testing.assert_array_equal(np.asarray(marked), np.asarray(before))
        assert "aesthetic-saliency" in str(marked.info)


def test_what_is_not_there_is_not_marked(tmp_path):
    assert not is_marked(tmp_path / "absent.png")
