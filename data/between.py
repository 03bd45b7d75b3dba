"""Weights between two checkpoints: python data/between.py DATA A B [--save SHARE OUT].

A and B are checkpoints of one architecture; the priors of single sets, which neutral predictions do
not use, stay B's. Prints what the networks (1 - SHARE) A + SHARE B reach on validation images:
whether two solutions lie in one valley, or what a network keeps of its start when it is averaged
with it. `--save` writes one of them instead, with the data and the config of B's card.

Source:
    Goodfellow et al., "Qualitatively characterizing neural network optimization problems" (2015);
    Wortsman et al., "Robust fine-tuning of zero-shot models" (2022).
"""

import argparse
from pathlib import Path

import numpy as np

from saliency.checkpoint import Checkpoint, find_weights, load_checkpoint, save_checkpoint
from saliency.datasets.config import load_data_config
from saliency.datasets.sets import LabelledSets, build_sets
from saliency.evaluation import evaluate
from saliency.predictor import Predictor
from saliency.training.start import OFFSETS


def average(a: Checkpoint, b: Checkpoint, share: float) -> Checkpoint:
    """Return the network (1 - share) a + share b, with what the card of `b` says of its data."""
    network = type(b.network)(b.network.architecture)
    first, second = a.network.state_dict(), b.network.state_dict()
    tensors = second | {
        name: (1 - share) * first[name] + share * tensor
        for name, tensor in second.items()
        if tensor.is_floating_point() and name not in OFFSETS
    }
    network.load_state_dict(tensors)
    return Checkpoint(network.eval(), b.preprocessing, b.card.unmeasured())


def measure(checkpoint: Checkpoint, sets: LabelledSets) -> dict[str, float]:
    """Return the mean of each metric over images with fixations, and SRCC over rated ones."""
    predictor = Predictor(checkpoint, "cpu")
    maps = [evaluate(predictor, dataset, full=False) for dataset in sets.saliency]
    counts = [result.images for result in maps]
    found = {
        metric: float(np.average([r.measures[metric].value for r in maps], weights=counts))
        for metric in ("CC", "NSS", "KLDiv", "SIM")
    }
    for dataset in sets.rated:
        rated = evaluate(predictor, dataset, full=False)
        if "SRCC" in rated.measures:
            found[f"{rated.name} SRCC"] = rated.measures["SRCC"].value
    return found


def main() -> None:
    """Print the table, or save one network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("a", help="file or name of released weights")
    parser.add_argument("b", help="file or name of released weights")
    parser.add_argument("--points", type=int, default=11)
    parser.add_argument("--recipe", type=Path, default=Path("data/recipes/release.toml"))
    parser.add_argument("--save", nargs=2, metavar=("SHARE", "OUT"))
    given = parser.parse_args()
    a, b = (load_checkpoint(find_weights(name)) for name in (given.a, given.b))
    if given.save:
        save_checkpoint(Path(given.save[1]), average(a, b, float(given.save[0])))
        return
    sets = build_sets(load_data_config(given.recipe), "val", given.data)
    for number, share in enumerate(np.linspace(0, 1, given.points)):
        row = measure(average(a, b, share), sets)
        if not number:
            print("| share of B |", " | ".join(row), "|\n|---|" + "---|" * len(row))
        print(f"| {share:.2f} |", " | ".join(f"{v:.4f}" for v in row.values()), "|", flush=True)


if __name__ == "__main__":
    main()
