"""A last step after training: solves part of the score read-out again on the trained features."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch

from saliency.checkpoint import Checkpoint
from saliency.datasets.sets import build_sets
from saliency.errors import ConfigError
from saliency.training.config import TrainingConfig
from saliency.training.start import start_read_outs


def refit_scores(
    checkpoint: Checkpoint,
    config: TrainingConfig,
    data_root: Path | None,
    device: torch.device,
    share: float = 0.5,
) -> Checkpoint:
    """Return a checkpoint whose score read-out is partly solved again, in closed form.

    After some epochs the trained read-out has memorised the ratings of its training photos. Ridge
    regression on the final features, fitted as at the start of training (with spoilt copies as
    rows, if the recipe has them), ranks unseen photos better. The trained read-out in turn is
    better on spoilt copies, of which it has seen thousands. The mean of both keeps most of either
    advantage (docs/results/score-and-order.md).

    Args:
        checkpoint: The trained network, with an aesthetic head.
        config: The recipe that it was trained with.
        data_root: Folder of the data sets.
        device: Device to compute on.
        share: Share of the new read-out, 0..1.

    Raises:
        ConfigError: There is no aesthetic head, or the recipe has no rated set.
        DatasetError: A data set is not what its layout says.
    """
    rated = build_sets(config.data, "train", data_root).rated
    if checkpoint.network.aesthetics is None or not rated:
        raise ConfigError(
            "The network should have an aesthetic head, and the recipe a rated set. Found "
            f"{'no head' if checkpoint.network.aesthetics is None else 'no rated set'}."
        )
    network, solved = (deepcopy(checkpoint.network).to(device) for _ in range(2))
    start_read_outs(solved, checkpoint.preprocessing, rated, config, device)
    assert network.aesthetics is not None  # noqa: S101
    assert solved.aesthetics is not None  # noqa: S101
    network.aesthetics.mix(solved.aesthetics, share)
    return replace(checkpoint, network=network.eval(), card=checkpoint.card.unmeasured())
