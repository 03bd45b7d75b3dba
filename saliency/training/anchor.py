"""Holding the aesthetic head's features near where pretraining left them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from saliency.model import SaliencyNetwork


class FeatureAnchor:
    """A penalty on how far the pooled features move from the pretrained encoder's.

    A few hundred rated photos cannot tell the encoder what beauty needs, and saliency's gradients,
    from many more, move it away from that. Features that stay where they were keep a linear
    read-out of them valid. Only means and spreads over the whole photo are held: where in the
    photo a feature is high, which is what saliency learns, stays free.

    Source:
        Romero et al., "FitNets: hints for thin deep nets" (2015), with the student's own start as
        teacher; Li, Hoiem, "Learning without forgetting" (2016).
    """

    def __init__(self, network: SaliencyNetwork) -> None:
        """Remember `network`'s encoder as it is now, before training."""
        if network.aesthetics is None:
            raise ValueError("`network` should have an aesthetic head. Found none.")
        self._network = network
        self._encoder, self._sharing = copy.deepcopy((network.encoder, network.sharing))
        for module in (self._encoder, self._sharing):
            module.eval().requires_grad_(False)
        self._task = network.architecture.tasks.index("aesthetics")

    def loss(self, images: Tensor, features: Tensor) -> Tensor:
        """Return the mean squared distance from the remembered features.

        Args:
            images: (B, 3, h, w), normalised.
            features: (B, F) of them now, standardised, from `Output.aesthetic_features`.

        Returns:
            Scalar >= 0, in squared standard deviations over the rated images.
        """
        head = self._network.aesthetics
        assert head is not None  # noqa: S101
        with torch.no_grad():
            stages = self._sharing(self._encoder, images).by_task[self._task]
            before = head.standardized([stages[i] for i in self._network.aesthetic_stages])
        return (features - before).square().mean()
