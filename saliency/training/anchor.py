"""A penalty that keeps the aesthetic head's features near those of pretraining."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from saliency.model import SaliencyNetwork


class FeatureAnchor:
    """A penalty on the distance of the pooled features from those of the pretrained encoder.

    A few hundred rated photos are too few to teach the encoder features for beauty, and the
    gradients of saliency, from many more photos, change the features that pretraining gave. If the
    features stay, a linear read-out of them stays valid. Only their means and spreads over the
    whole photo are held; where in the photo a feature is high, which saliency learns, stays free.

    Source:
        Romero et al., "FitNets: hints for thin deep nets" (2015), with the student's own start as
        teacher; Li, Hoiem, "Learning without forgetting" (2016).
    """

    def __init__(self, network: SaliencyNetwork, *, in_half: bool = False) -> None:
        """Copy `network`'s encoder as it is now, before training.

        Args:
            network: A network with an aesthetic head.
            in_half: Whether to compute the copy in bfloat16, as training computes `network`.
        """
        if network.aesthetics is None:
            raise ValueError("`network` should have an aesthetic head. Found none.")
        self._network = network
        self._in_half = in_half
        self._encoder, self._sharing = copy.deepcopy((network.encoder, network.sharing))
        for module in (self._encoder, self._sharing):
            module.eval().requires_grad_(False)
        self._task = network.architecture.tasks.index("aesthetics")

    def loss(self, images: Tensor, features: Tensor) -> Tensor:
        """Return the mean squared distance from the copied encoder's features.

        Args:
            images: (B, 3, h, w), normalised.
            features: (B, F) current features of these images, standardised, from
                `Output.aesthetic_features`.

        Returns:
            Scalar >= 0, in squared standard deviations over the rated images.
        """
        head = self._network.aesthetics
        assert head is not None  # noqa: S101
        with torch.no_grad():
            with torch.autocast(images.device.type, torch.bfloat16, enabled=self._in_half):
                stages = self._sharing(self._encoder, images).by_task[self._task]
            kept = [stages[i].float() for i in self._network.aesthetic_stages]
            before = head.standardized(kept)
        return (features - before).square().mean()
