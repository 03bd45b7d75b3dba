"""Hard sharing: one encoder, all tasks read its features."""

from __future__ import annotations

from torch import Tensor

from saliency.model.encoder import Encoder
from saliency.model.sharing.base import SharedFeatures, Sharing, for_heads


class HardSharing(Sharing):
    """All tasks read the same features of one encoder; the heads are their own.

    Fewest parameters, and the least room to fit one task alone. Shared are all of the encoder's
    parameters; its outputs are where the tasks meet.

    Cost: one encoder, whatever the number of tasks.

    Source:
        Caruana, "Multitask learning" (1997).
    """

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return the same features for every task."""
        features = encoder(images)
        if self.training:
            features = for_heads(features)
        return SharedFeatures((features,) * self.task_count, tuple((f,) for f in features))
