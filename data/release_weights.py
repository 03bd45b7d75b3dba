"""Turn a run's checkpoint into the released one.

    saliency evaluate data/recipes/release.toml --data DATA --part test \
        --weights runs/release/best.safetensors --json > test.json
    python data/release_weights.py runs/release/best.safetensors test.json 0.1.0

Writes weights/aesthetic-saliency.safetensors with the test metrics in its card, its network as ONNX
beside it, and its SHA-256 into weights/README.md. Then: python data/score_reference.py DATA
"""

import dataclasses
import json
import re
import sys
from pathlib import Path

from saliency.backends.export import export_graphs
from saliency.checkpoint import RELEASED_NAME, load_checkpoint, save_checkpoint, to_sha256

DATA = (
    "OSIE (MIT; photographs belong to their makers)",
    "EyeCrowd (MIT; photographs belong to their makers)",
    "Scene (MIT; photographs belong to their makers)",
    "SALICON, 260 images (annotations CC BY 4.0; images COCO/Flickr)",
    "OASIS with beauty ratings (open-access set)",
    "start: ImageNet weights of timm's encoder (Apache-2.0)",
)


def main() -> None:
    source, results, version = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    metrics = {
        result["name"]: {name: measure["value"] for name, measure in result["measures"].items()}
        for result in json.loads(results.read_text())["network"]
    }
    checkpoint = load_checkpoint(source)
    card = dataclasses.replace(checkpoint.card, version=version, data=DATA, metrics=metrics)
    weights = Path(__file__).parents[1] / "weights"
    save_checkpoint(weights / RELEASED_NAME, dataclasses.replace(checkpoint, card=card))
    export_graphs(weights / RELEASED_NAME)
    sha256 = to_sha256(weights / RELEASED_NAME)
    readme = weights / "README.md"
    readme.write_text(re.sub(r"SHA-256\n`[^`]*`", f"SHA-256\n`{sha256}`", readme.read_text()))
    print(sha256)


if __name__ == "__main__":
    main()
