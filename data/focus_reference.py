"""Print what is usual: how gathered attention is in photos and web pages, and how many are light.

    python data/focus_reference.py ../shared/data

Of each set 60 pictures, evenly over its names, are predicted with the released weights. The page of
the service says the middle halves (`service/static/focus.js`); the shares of light pictures stand
beside the rule in `saliency/rendering.py`. Run it again whenever the weights change.
"""

import sys
from pathlib import Path

import numpy as np

from saliency import Predictor, read_image
from saliency.batch import find_photos
from saliency.insights import require_density, summarize
from saliency.rendering import is_light

PHOTOS = ("osie/stimuli", "eyecrowd/stimuli", "scene/stimuli", "salicon/images")
PAGES = ("web/stimuli",)
EACH = 60
EVEN = 0.1
"""What an even spread has in its busiest tenth."""


def main() -> None:
    root = Path(sys.argv[1])
    predictor = Predictor.load(None, "cpu")
    for name, folders in {"photos": PHOTOS, "web pages": PAGES}.items():
        focus, light = [], []
        for folder in folders:
            found = find_photos([str(root / folder)])
            for index in np.linspace(0, len(found) - 1, min(EACH, len(found))).astype(int):
                path = found[index].path
                density = require_density(predictor.predict(path).density)
                focus.append((summarize(density).concentration - EVEN) / (1 - EVEN) * 100)
                light.append(is_light(read_image(path)))
        low, middle, high = np.percentile(focus, [25, 50, 75]).round().astype(int)
        print(f"{name}: {len(focus)}, focus {low} {middle} {high} (quartiles), light {sum(light)}")


if __name__ == "__main__":
    main()
