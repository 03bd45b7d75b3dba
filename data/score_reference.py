"""Write weights/aesthetic-saliency.reference.json: the scores of everyday photos.

    python data/score_reference.py ../shared/data [CHECKPOINT]

The photos are those of OSIE, EyeCrowd, Scene and SALICON: 1,700 pictures from Flickr, SUN and
COCO. OASIS is left out, because the network learned its scores from these ratings. Run it again
whenever the weights change.
"""

import sys
from pathlib import Path

import numpy as np

from saliency import Predictor
from saliency.batch import find_photos
from saliency.batch.scoring import ScoredPhoto, score_photos
from saliency.checkpoint import find_weights, to_sha256
from saliency.score_reference import ScoreReference, reference_of

FOLDERS = {
    "OSIE": "osie/stimuli",
    "EyeCrowd": "eyecrowd/stimuli",
    "Scene": "scene/stimuli",
    "SALICON": "salicon/images",
}


def main() -> None:
    root = Path(sys.argv[1])
    weights = find_weights(sys.argv[2] if len(sys.argv) > 2 else None)
    predictor = Predictor.load(weights, "cpu")
    scores = {}
    for name, folder in FOLDERS.items():
        outcomes = score_photos(predictor, [p.path for p in find_photos([str(root / folder)])])
        photos = [o for o in outcomes if isinstance(o, ScoredPhoto)]
        scores[name] = np.array([photo.score for photo in photos])
        spread = np.percentile([photo.record.score_std for photo in photos], (25, 75)).round(3)
        print(name, len(photos), "photos, median", np.median(scores[name]).round(2))
        print("  quartiles of score_std, for the words of records.py:", *spread)
    reference = ScoreReference.measure(scores, to_sha256(weights))
    reference.save(reference_of(weights))
    print(reference_of(weights))


if __name__ == "__main__":
    main()
