"""Copy a few photos that ship inside scikit-image to a folder: python data/demo_photos.py DIR.

They are in the public domain or CC0 (see scikit-image's data/README.txt), and nothing is
downloaded.
"""

import sys
from pathlib import Path

import skimage.data
from PIL import Image

NAMES = ("astronaut", "cat", "coffee", "rocket")


def write_photos(folder: Path) -> None:
    """Write all five as JPEGs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        photo = getattr(skimage.data, name)()
        Image.fromarray(photo).save(folder / f"{name}.jpg", quality=95)
    left, _, _ = skimage.data.stereo_motorcycle()
    Image.fromarray(left).save(folder / "motorcycle.jpg", quality=95)


if __name__ == "__main__":
    write_photos(Path(sys.argv[1]))
