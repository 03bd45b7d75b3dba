"""The few numbers that rebuild a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from saliency.attributes import Attribute
from saliency.errors import ConfigError
from saliency.model.sharing import SharingName

GuidanceForm = Literal["film", "gate"]
"""Whether the aesthetic branch scales the decoder's channels or its places."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything that `SaliencyNetwork` needs to be built again; stored in checkpoints.

    Attributes:
        encoder: A timm model name.
        saliency: Whether there is a saliency decoder.
        aesthetics: Whether there is an aesthetic head.
        guidance: Whether the aesthetic branch modulates the decoder; needs both heads.
        guidance_form: How: `film` scales and shifts channels by the embedding, `gate` scales
            places by where in the photo the embedding comes from.
        score_attention: Whether the scores also read features pooled by the predicted density,
            guidance the other way round; needs both heads.
        stop_guidance_gradient: Keep the saliency loss from reaching, through the guidance, the
            scores and the features that they are read from.
        aesthetic_gradient: Share of the aesthetic head's gradient that reaches the encoder, from 0
            (none) to 1 (all).
        saliency_strides: Encoder stages that the decoder reads, by stride; the first one is
            the resolution of its logits.
        aesthetic_strides: Encoder stages that the aesthetic head reads, by stride.
        final_features: Whether both heads also read what the ImageNet classifier pooled, as one
            more, deepest stage.
        decoder_channels: Width of the decoder, a multiple of 8.
        auxiliary_outputs: Coarser decoder stages with a loss of their own while training.
        embedding_features: Length of the guiding embedding beside the score distribution.
        dropout: On the aesthetic head's features.
        datasets: Sets with priors of their own; everything else is neutral.
        attributes: What else is told of a photo, with a head each that reads what the aesthetic
            head reads.
        attribute_gradient: Share of the attribute heads' gradient that reaches the encoder.
        sharing: How the tasks share the encoder.
        sharing_per_channel: Whether `cross_stitch` has a mixing weight a channel.
        sharing_subspaces: Parts of each stage's channels in `sluice`.
        sharing_update_every: Steps of training between updates of the covariances in `multilinear`.
        sharing_tree: In `adaptive`, for each encoder stage the group of each task; empty while
            all share all.
        heteroscedastic: Whether the heads of scores and of attributes on a scale also say, for
            each photo, how far off they may be.
    """

    encoder: str
    saliency: bool = True
    aesthetics: bool = True
    guidance: bool = True
    guidance_form: GuidanceForm = "film"
    score_attention: bool = False
    stop_guidance_gradient: bool = False
    aesthetic_gradient: float = 1.0
    saliency_strides: tuple[int, ...] = (4, 8, 16, 32)
    aesthetic_strides: tuple[int, ...] = (4, 8, 16, 32)
    final_features: bool = False
    decoder_channels: int = 96
    auxiliary_outputs: int = 0
    embedding_features: int = 32
    dropout: float = 0.3
    datasets: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    attribute_gradient: float = 1.0
    sharing: SharingName = "hard"
    sharing_per_channel: bool = False
    sharing_subspaces: int = 2
    sharing_update_every: int = 20
    sharing_tree: tuple[tuple[int, ...], ...] = ()
    heteroscedastic: bool = False

    def __post_init__(self) -> None:
        # Checkpoints hold them as plain tuples.
        object.__setattr__(self, "attributes", tuple(Attribute(*a) for a in self.attributes))
        if not self.tasks:
            raise ConfigError("A network should have a head. Found saliency = aesthetics = false.")
        for name in ("guidance", "score_attention"):
            if getattr(self, name) and not (self.saliency and self.aesthetics):
                raise ConfigError(
                    f"`{name}` needs both heads. Found "
                    f"saliency = {self.saliency}, aesthetics = {self.aesthetics}."
                )
        scales = [attribute for attribute in self.attributes if not attribute.classes]
        if self.heteroscedastic and not (self.aesthetics or scales):
            raise ConfigError(
                "`heteroscedastic` needs the aesthetic head or an attribute on a scale, whose "
                "error can be stated. Found neither."
            )
        if self.decoder_channels <= 0 or self.decoder_channels % 8:
            nearest = max(1, round(self.decoder_channels / 8)) * 8
            raise ConfigError(
                "`decoder_channels` should be a multiple of 8. "
                f"Found {self.decoder_channels}; nearest is {nearest}."
            )
        if self.auxiliary_outputs >= len(self.saliency_strides):
            raise ConfigError(
                f"`auxiliary_outputs` should be less than the {len(self.saliency_strides)} decoder "
                f"stages. Found {self.auxiliary_outputs}."
            )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of what is learned: saliency, aesthetics, attributes."""
        main = [name for name in ("saliency", "aesthetics") if getattr(self, name)]
        return (*main, *(attribute.name for attribute in self.attributes))
