"""Plain vision transformers (ViT, DeiT, DINOv2, DINOv3, CLIP, SigLIP), made into a pyramid."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.errors import ConfigError
from saliency.model.encoder import Encoder
from saliency.model.encoders.loading import Source, create_body

PLAIN_MODULES = (
    "beit",
    "cait",
    "deit",
    "eva",
    "mlp_mixer",
    "naflexvit",
    "tnt",
    "vision_transformer",
    "vision_transformer_hybrid",
    "vision_transformer_sam",
    "vitamin",
    "xcit",
)
"""timm's modules of networks that keep one stride from the first block to the last."""

STRIDES = (4, 8, 16, 32)

PYRAMID_CHANNELS = 96
"""Number of channels of each stage."""

DETAIL_CHANNELS = 32
"""Number of channels of the first convolution for details smaller than a patch."""


class PlainTransformer(Encoder):
    """A transformer whose blocks keep one stride, and features of strides 4, 8, 16 and 32.

    Let P be the patch's side and S the power of two next to it (16 for 14 and 16). An input
    (h, w) is resized to (h P / S, w P / S), so that a patch covers S input pixels exactly, and
    every multiple of 32 works: 288x384 becomes 252x336 for patches of 14, which are 18x24.
    Position embeddings are resampled to the grid.

    The maps of some blocks, evenly spaced up to the last, are normalised and summed. For each
    stride a pointwise convolution narrows them, and they are enlarged bilinearly or averaged.
    Details smaller than a patch come from two strided convolutions of the input, added at stride 4.
    The final features are the last block's patches beside its class token, if it has one, which is
    the same everywhere: pooled heads read the patches' mean and the token.

    Source:
        Li et al., "Exploring plain vision transformer backbones for object detection" (2022), and
        for the convolutions Chen et al., "Vision transformer adapter for dense predictions" (2023).
    """

    near = "vit_small_patch14_dinov2, vit_small_patch16_224 or deit3_small_patch16_224"

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        final_features: bool = False,
        blocks: int = 4,
        train_batch_norm_affine: bool = False,
    ) -> None:
        """Build the encoder; `measure` then finds its channels and strides.

        Args:
            name: A timm model name.
            source: Source of its weights.
            final_features: Also give the last block's patches and class token.
            blocks: Number of blocks whose maps are summed.
            train_batch_norm_affine: Train scale and shift of batch normalisation, if any.
        """
        super().__init__(
            name,
            _create(name, source, self.near),
            final_features=final_features,
            train_batch_norm_affine=train_batch_norm_affine,
        )
        self.learning_rate, self.layer_decay = 5e-5, 0.8
        info = self.body.feature_info
        depth, width, patch = len(info), info[-1]["num_chs"], info[-1]["reduction"]
        if blocks > depth:
            raise ConfigError(
                f"`encoder_blocks` should be at most the {depth} blocks of {name}. Found {blocks}."
            )
        self.patch = int(patch)
        self.patch_stride = min(STRIDES[1:], key=lambda stride: abs(math.log(stride / patch)))
        self.read = [round(depth * (number + 1) / blocks) - 1 for number in range(blocks)]
        parameters = inspect.signature(self.body.forward_intermediates).parameters
        self.has_prefix = "return_prefix_tokens" in parameters and bool(self.body.num_prefix_tokens)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.read)
        self.narrow = nn.Conv2d(width, len(STRIDES) * PYRAMID_CHANNELS, 1)
        self.detail = nn.Sequential(
            nn.Conv2d(3, DETAIL_CHANNELS, 3, 2, 1, bias=False),
            nn.GroupNorm(8, DETAIL_CHANNELS),
            nn.ReLU(inplace=True),
            nn.Conv2d(DETAIL_CHANNELS, PYRAMID_CHANNELS, 3, 2, 1, bias=False),
            nn.GroupNorm(8, PYRAMID_CHANNELS),
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return features, shallow to deep, see `Encoder.forward`.

        Final features are (B, C or 2 C, h / S, w / S).
        """
        rows, columns = (side // self.patch_stride for side in images.shape[2:])
        maps, prefix = self._run(images, (rows * self.patch, columns * self.patch))
        tokens = [patches.flatten(2).transpose(1, 2) for patches in maps]  # (B, N, C)
        total = torch.stack([norm(t) for norm, t in zip(self.norms, tokens, strict=True)]).sum(
            dim=0
        )
        by_place = total.transpose(1, 2)  # (B, C, N)
        narrowed = self.narrow(by_place.reshape(*by_place.shape[:2], rows, columns))
        stages = [
            self._resize(piece, stride)
            for piece, stride in zip(narrowed.chunk(len(STRIDES), dim=1), STRIDES, strict=True)
        ]
        stages[0] = stages[0] + self.detail(images)
        if not self.final_features:
            return stages
        norm = self._last_norm()
        final = norm(tokens[-1])
        if prefix is not None:
            final = torch.cat([final, norm(prefix[:, :1]).expand_as(final)], dim=2)
        return [*stages, final.transpose(1, 2).unflatten(2, (rows, columns))]

    def freeze_shallow(self, stride: int) -> int:
        """Freeze nothing: all blocks act at every stride.

        Raises:
            ConfigError: `stride` is not 0.
        """
        if stride:
            raise ConfigError(
                "`model.frozen_stride` should be 0 for a plain transformer, whose blocks act at "
                f"every stride. Found {stride}; model.encoder_tuning = 'frozen' or 'low_rank' "
                "trains less of it."
            )
        return 0

    def _run(self, images: Tensor, size: tuple[int, int]) -> tuple[list[Tensor], Tensor | None]:
        """Return the outputs of the chosen blocks for images resized to `size`.

        Returns:
            One (B, C, rows, columns) for each block; and the (B, 1.., C) tokens of the last block
            that are no patches, the class token first; None without a class token.
        """
        if size != tuple(images.shape[2:]):
            images = F.interpolate(images, size, mode="bilinear")
        given: dict[str, Any] = {"indices": self.read, "intermediates_only": True}
        if not self.has_prefix:
            return list(self.body.forward_intermediates(images, **given)), None
        pairs = self.body.forward_intermediates(images, return_prefix_tokens=True, **given)
        has_class = getattr(self.body, "cls_token", None) is not None
        return [patches for patches, _ in pairs], pairs[-1][1] if has_class else None

    def _resize(self, x: Tensor, stride: int) -> Tensor:
        """Return (B, C, h', w') of patches at `stride`."""
        if stride > self.patch_stride:
            return F.avg_pool2d(x, stride // self.patch_stride)
        if stride < self.patch_stride:
            factor = self.patch_stride // stride
            size = (factor * x.shape[2], factor * x.shape[3])
            return F.interpolate(x, size, mode="bilinear")
        return x

    def _last_norm(self) -> nn.Module:
        """Return the normalisation of the last block's tokens; some networks pool them first."""
        named = (getattr(self.body, name, None) for name in ("norm", "fc_norm"))
        norms = [norm for norm in named if isinstance(norm, nn.LayerNorm)]
        return norms[0] if norms else nn.Identity()


def _create(name: str, source: Source, near: str) -> nn.Module:
    """Return the timm network without pooling and classifier."""
    body: nn.Module
    try:
        body = create_body(name, source, near, num_classes=0, dynamic_img_size=True)
    except TypeError:  # no such option: it takes any size or only one, which `measure` checks
        body = create_body(name, source, near, num_classes=0)
    body.reset_classifier(0, "")  # type: ignore[operator]  # timm adds it
    return body
