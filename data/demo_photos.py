"""Copy a few photos that ship inside scikit-image to a folder: python data/demo_photos.py DIR.

They are in the public domain or CC0 (see scikit-image's data/README.txt), and nothing is
downloaded. scikit-image is not imported, so its dependencies need not be installed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

FILES = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
}


def write_photos(folder: Path) -> None:
    """Write all five as JPEGs."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        sys.exit("The photos come with scikit-image; to get it: pip install scikit-image")
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        photo = Image.open(Path(spec.origin).with_name("data") / file)
        photo.convert("RGB").save(folder / f"{name}.jpg", quality=95)


if __name__ == "__main__":
    write_photos(Path(sys.argv[1]))
