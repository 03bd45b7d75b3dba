"""Write weights/aesthetic-saliency.reference.json: what scores everyday photos get.

    python data/score_reference.py ../shared/data [CHECKPOINT]

The photos are those of OSIE, EyeCrowd, Scene and SALICON: 1,700 pictures from Flickr, SUN and
COCO. OASIS is left out, because its ratings taught the network these very scores. Run it again
whenever the weights change.
"""

import sys
from pathlib import Path

import numpy as np

from saliency import Predictor
from saliency.batch import find_photos
from saliency.checkpoint import released_weights, to_sha256
from saliency.score_reference import ScoreReference, reference_of
from saliency.scoring import ScoredPhoto, score_photos

FOLDERS = {
    "OSIE": "osie/stimuli",
    "EyeCrowd": "eyecrowd/stimuli",
    "Scene": "scene/stimuli",
    "SALICON": "salicon/images",
}


def main() -> None:
    root = Path(sys.argv[1])
    weights = Path(sys.argv[2]) if len(sys.argv) > 2 else released_weights()
    predictor = Predictor.load(weights, "cpu")
    scores = {}
    for name, folder in FOLDERS.items():
        outcomes = score_photos(predictor, [p.path for p in find_photos([str(root / folder)])])
        scored = [o.score for o in outcomes if isinstance(o, ScoredPhoto)]
        scores[name] = np.array(scored)
        print(name, len(scored), "photos, median", np.median(scored).round(2))
    reference = ScoreReference.measure(scores, to_sha256(weights))
    reference.save(reference_of(weights))
    print(reference_of(weights))


if __name__ == "__main__":
    main()
