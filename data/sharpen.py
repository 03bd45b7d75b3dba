"""Make a checkpoint's maps sharper or softer: python data/sharpen.py CHECKPOINT FACTOR OUT.

Before the blur a density becomes proportional to its power FACTOR: the temperature of the logits
and the centre bias, of all priors, are multiplied by it. Maps that were taught by softer ones get
their contrast back; FACTOR is chosen on validation images.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch

from saliency.checkpoint import load_checkpoint, save_checkpoint


def main() -> None:
    """Read, multiply, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("factor", type=float)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.checkpoint)
    priors = checkpoint.network.priors
    if priors is None or options.factor <= 0:
        raise SystemExit(
            "There should be maps, and a factor > 0. Found no maps, or another factor."
        )
    with torch.no_grad():
        priors.log_temperature += math.log(options.factor)
        priors.center_bias *= options.factor
        priors.center_bias_offsets *= options.factor
    save_checkpoint(options.out, replace(checkpoint, card=checkpoint.card.unmeasured()))


if __name__ == "__main__":
    main()
