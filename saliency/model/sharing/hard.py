"""Hard sharing: one encoder, all tasks read its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from saliency.model.encoder import Encoder
from saliency.model.sharing.base import SharedFeatures, Sharing, SharingOptions, for_heads


class HardSharing(Sharing):
    """All tasks read the same features of one encoder; the heads are their own.

    It has the fewest parameters and can adapt least to a single task. All of the encoder's
    parameters are shared; the tasks' gradients are compared at its outputs.

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


@dataclass(frozen=True, kw_only=True)
class HardOptions(SharingOptions):
    """`sharing.name = "hard"`: nothing to choose."""

    compiles: ClassVar[bool] = True

    name: Literal["hard"] = "hard"

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return HardSharing(task_count)
