"""The decoder rearranged into steps that ONNX Runtime computes faster, with the same results.

ONNX Runtime stores the maps that it convolves in blocks of channels. Convolutions, sums of maps,
rectification and doubling by bilinear interpolation keep this layout, and a sum and a rectification
after a convolution cost nothing. Normalisation and products with a vector need another layout, and
each change of layout copies the map.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.model import SaliencyNetwork
from saliency.model.decoder import DecoderStage


def rearrange(network: SaliencyNetwork) -> SaliencyNetwork:
    """Return a copy of `network` for evaluation, whose decoder computes the same in other steps."""
    network = deepcopy(network).eval()
    if network.decoder is not None:
        _replace_norms(network.decoder)
        stages = network.decoder.stages
        network.decoder.stages = nn.ModuleList(_Stage(cast(DecoderStage, s)) for s in stages)
    return network


class _Norm(nn.Module):
    """`nn.GroupNorm`, whose scale and shift are a convolution."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        self.weight, self.bias = norm.weight, norm.bias

    def standardize(self, x: Tensor) -> Tensor:
        """Return (B, C, h, w), each group with mean 0 and variance 1."""
        groups = x.reshape(len(x), self.groups, -1)
        return F.instance_norm(groups, eps=self.eps).reshape(x.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, h, w)."""
        return _scale(self.standardize(x), self.weight, self.bias)


class _Stage(nn.Module):
    """`DecoderStage`, which scales and shifts the coarser map before it is four times as large."""

    def __init__(self, stage: DecoderStage) -> None:
        super().__init__()
        self.stage = stage

    def forward(
        self,
        feature: Tensor,
        coarser: Tensor | None,
        embedding: Tensor | None,
        activation_maps: Tensor | None,
    ) -> Tensor:
        """Return (B, channels, h, w) at `feature`'s own (h, w)."""
        norm, film = self.stage.norm, self.stage.film
        assert isinstance(norm, _Norm)  # noqa: S101
        x = norm.standardize(self.stage.project(feature))
        shift = norm.bias[:, None, None]
        if film is not None and embedding is not None:
            scale, beta = film.factors(embedding)
            x = scale * x
            shift = scale * shift + beta
            coarser = None if coarser is None else scale * coarser
        x = _scale(x, norm.weight)
        if coarser is None:
            x = x + shift
        else:
            blocks = _scale(coarser + shift, torch.ones_like(norm.weight))
            x = x + F.interpolate(blocks, x.shape[2:], mode="bilinear")
        return self.stage.finish(x, activation_maps)


def _replace_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, _Norm(child))
        else:
            _replace_norms(child)


def _scale(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scale and shift each channel of (B, C, h, w) by a convolution, which keeps the layout."""
    return F.conv2d(x, weight[:, None, None, None], bias, groups=len(weight))
