"""The kinds of encoder, one file for each, and the function that builds them."""

from __future__ import annotations

from pathlib import Path

import timm

from saliency.errors import ConfigError
from saliency.model.encoder import Encoder
from saliency.model.encoders.loading import Source
from saliency.model.encoders.plain_transformer import PLAIN_MODULES, PlainTransformer
from saliency.model.encoders.staged import StagedEncoder

__all__ = ["Encoder", "build_encoder"]


def build_encoder(
    name: str,
    *,
    final_features: bool = False,
    blocks: int = 4,
    weights: Path | None = None,
    pretrained: bool = False,
    train_batch_norm_affine: bool = False,
) -> Encoder:
    """Build the encoder with a name.

    Args:
        name: A timm model name.
        final_features: Also give the last features of the pretrained network: those that a
            classifier would pool, and in plain transformers the class token beside them.
        blocks: Number of blocks of a plain transformer whose maps become features.
        weights: Pretrained weights in a safetensors file of timm's key names.
        pretrained: Without `weights`, let timm download its own.
        train_batch_norm_affine: Train scale and shift; the statistics stay frozen.

    Raises:
        ConfigError: timm has no such network, it gives no such features, its weights cannot be
            downloaded, or `weights` are not its own.
    """
    if not timm.is_model(name):  # timm itself would look for `hf-hub:...` on the network
        raise ConfigError(
            "`encoder` should be the name of a timm network, such as tf_efficientnet_lite0. "
            f"Found {name!r}."
        )
    source = Source(weights, pretrained)
    encoder: Encoder
    if timm.models.is_model_in_modules(name, PLAIN_MODULES):
        encoder = PlainTransformer(
            name,
            source,
            final_features=final_features,
            blocks=blocks,
            train_batch_norm_affine=train_batch_norm_affine,
        )
    else:
        encoder = StagedEncoder(
            name,
            source,
            final_features=final_features,
            train_batch_norm_affine=train_batch_norm_affine,
        )
    encoder.measure()
    return encoder
