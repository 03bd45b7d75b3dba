"""The head of one attribute of the whole photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from saliency.attributes import Attribute
from saliency.model.readout import PooledReadOut, mean_left_out_error, solve_ridge
from saliency.model.stated_error import StatedError


class AttributeOutput(NamedTuple):
    """Outputs of a head.

    Attributes:
        output: (B,) value, 0 at `low` and 1 at `high` (outside 0..1 where it extrapolates), or
            (B, classes) logits.
        log_variance: (B,) logarithm of the squared error on that scale; None if none is stated.
    """

    output: Tensor
    log_variance: Tensor | None


class AttributeHead(PooledReadOut):
    """Map standardised pooled features linearly to a number on 0..1, or to a logit for each class.

    Attributes:
        error: Module that states the error of the number; None if there is none.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        attribute: Attribute,
        dropout: float,
        *,
        heteroscedastic: bool = False,
    ) -> None:
        super().__init__(in_channels)
        self.attribute = attribute
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(self.pooled_length, attribute.outputs)
        self.error: StatedError | None = None
        if heteroscedastic and not attribute.classes:
            self.error = StatedError(self.pooled_length)

    @torch.no_grad()
    def fit(self, pooled: Tensor, labels: Tensor, ridge: float) -> None:
        """Set standardisation and read-out in closed form, for a start at ridge regression.

        Classes are regressed as indicators; the logits are those of the frequencies, tilted so
        that the probabilities are, to first order, those of the regression.

        Args:
            pooled: (N, 2 * sum C_i) features of training images, from `pool_features`.
            labels: (N,) labels from `Attribute.to_label`, all known.
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
        if self.error is not None:
            self.error.start(mean_left_out_error(x, (targets - mean)[:, 0], ridge))

    def forward(
        self, features: Sequence[Tensor], *, feature_gradient: float = 1.0
    ) -> AttributeOutput:
        """Return the attribute and the logarithm of its squared error.

        Args:
            features: One (B, C_i, h_i, w_i) for each stage.
            feature_gradient: Share of the gradient that reaches `features`, 0..1.
        """
        pooled = self.standardized(features)
        x = feature_gradient * pooled + (1 - feature_gradient) * pooled.detach()
        read = self.dropout(x)
        outputs: Tensor = self.readout(read)
        log_variance = None if self.error is None else self.error(read)
        output = outputs if self.attribute.classes else outputs[:, 0]
        return AttributeOutput(output, log_variance)
