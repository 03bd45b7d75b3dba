"""From the encoder's features to one attribute of the whole photo."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saliency.attributes import Attribute
from saliency.model.readout import PooledReadOut, solve_ridge


class AttributeHead(PooledReadOut):
    """Standardised pooled features to a number on 0..1, or to a logit a class; linear."""

    def __init__(self, in_channels: Sequence[int], attribute: Attribute, dropout: float) -> None:
        super().__init__(in_channels)
        self.attribute = attribute
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(self.pooled_length, attribute.outputs)

    @torch.no_grad()
    def fit(self, pooled: Tensor, labels: Tensor, ridge: float) -> None:
        """Set standardisation and read-out in closed form, for a start at ridge regression.

        Classes are regressed as indicators; the logits are those of the frequencies, tilted so
        that the probabilities are, to first order, what the regression says.

        Args:
            pooled: (N, 2 * sum C_i) of training images, from `pool_features`.
            labels: (N,) from `Attribute.to_label`, none unknown.
            ridge: Penalty on the squared weights.
        """
        x = self.start_standardizing(pooled)
        classes = len(self.attribute.classes)
        if classes:
            targets = nn.functional.one_hot(labels.long(), classes).double()  # (N, classes)
        else:
            targets = labels.double()[:, None]  # (N, 1)
        mean = targets.mean(dim=0)
        weights = solve_ridge(x, targets - mean, ridge)  # (features, outputs)
        if classes:
            frequencies = mean.clamp(min=1e-3)
            self.readout.weight.copy_((weights / frequencies).T)
            self.readout.bias.copy_(frequencies.log())
        else:
            self.readout.weight.copy_(weights.T)
            self.readout.bias.copy_(mean)

    def forward(self, features: Sequence[Tensor], *, feature_gradient: float = 1.0) -> Tensor:
        """Return the attribute.

        Args:
            features: One (B, C_i, h_i, w_i) a stage.
            feature_gradient: Share of the gradient that reaches `features`, 0..1.

        Returns:
            (B,) on 0..1 from `low` to `high` (beyond where it extrapolates), or (B, classes)
            logits.
        """
        pooled = self.standardized(features)
        x = feature_gradient * pooled + (1 - feature_gradient) * pooled.detach()
        outputs: Tensor = self.readout(self.dropout(x))
        return outputs if self.attribute.classes else outputs[:, 0]
