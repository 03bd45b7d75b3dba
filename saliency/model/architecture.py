"""The options that a network is rebuilt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from saliency.attributes import Attribute
from saliency.errors import ConfigError, require
from saliency.model.sharing import SCHEMES, HardOptions, SharingOptions

GuidanceForm = Literal["film", "gate"]
"""Whether the aesthetic branch scales the decoder's channels or its places."""


@dataclass(frozen=True)
class NetworkOptions:
    """Options of the network in a recipe, with their defaults.

    Attributes:
        encoder: A timm model name.
        saliency: Whether there is a saliency decoder.
        aesthetics: Whether there is an aesthetic head.
        guidance: Whether the aesthetic branch modulates the decoder; needs both heads.
        guidance_form: `film` scales and shifts channels by the embedding; `gate` scales places by
            the parts of the photo that the embedding comes from.
        score_attention: Whether the scores also read features pooled by the predicted density
            (guidance in the other direction); needs both heads.
        stop_guidance_gradient: Keep the saliency loss from reaching, through the guidance, the
            scores and the features that they are read from.
        aesthetic_gradient: Share of the aesthetic head's gradient that reaches the encoder, from 0
            (none) to 1 (all).
        attribute_gradient: The same share of the attribute heads' gradient.
        saliency_strides: Encoder stages that the decoder reads, by stride; the first one is
            the resolution of its logits.
        aesthetic_strides: Encoder stages that the aesthetic head reads, by stride.
        final_features: Whether both heads also read the features that the ImageNet classifier
            pooled, as one more, deepest stage.
        decoder_channels: Width of the decoder, a multiple of 8.
        auxiliary_outputs: Number of coarser decoder stages with their own loss in training.
        embedding_features: Length of the guiding embedding beside the score distribution.
        dropout: Dropout on the features of the linear read-outs, 0 <= p < 1.
        heteroscedastic: Whether the heads of scores and of attributes on a scale also state, for
            each photo, the size of their error.
        encoder_blocks: Number of blocks of a plain transformer whose maps become the encoder's
            stages.
    """

    encoder: str = "tf_efficientnet_lite2"
    saliency: bool = True
    aesthetics: bool = True
    guidance: bool = True
    guidance_form: GuidanceForm = "film"
    score_attention: bool = False
    stop_guidance_gradient: bool = True
    aesthetic_gradient: float = 1.0
    attribute_gradient: float = 1.0
    saliency_strides: tuple[int, ...] = (4, 8, 16, 32)
    aesthetic_strides: tuple[int, ...] = (4, 8, 16, 32)
    final_features: bool = True
    decoder_channels: int = 96
    auxiliary_outputs: int = 0
    embedding_features: int = 32
    dropout: float = 0.0
    heteroscedastic: bool = False
    encoder_blocks: int = 4

    def __post_init__(self) -> None:
        for name in ("aesthetic_gradient", "attribute_gradient"):
            share = getattr(self, name)
            require(0 <= share <= 1, name, "0 to 1", share)
        require(0 <= self.dropout < 1, "dropout", ">= 0 and < 1", self.dropout)
        require(self.encoder_blocks >= 1, "encoder_blocks", ">= 1", self.encoder_blocks)
        for name in ("guidance", "score_attention"):
            if getattr(self, name) and not (self.saliency and self.aesthetics):
                raise ConfigError(
                    f"`{name}` needs both heads. Found "
                    f"saliency = {self.saliency}, aesthetics = {self.aesthetics}."
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


@dataclass(frozen=True)
class Architecture(NetworkOptions):
    """Everything that `SaliencyNetwork` needs to be built again; stored in checkpoints.

    Attributes:
        datasets: Sets with priors of their own; everything else is neutral.
        attributes: Further labels to predict, each with a head that reads the features of the
            aesthetic head.
        sharing: How the tasks share the encoder.
    """

    datasets: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    sharing: SharingOptions = field(default_factory=HardOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        # Checkpoints hold them as plain tuples.
        object.__setattr__(self, "attributes", tuple(Attribute(*a) for a in self.attributes))
        if not self.tasks:
            raise ConfigError("A network should have a head. Found saliency = aesthetics = false.")
        scales = [attribute for attribute in self.attributes if not attribute.classes]
        if self.heteroscedastic and not (self.aesthetics or scales):
            raise ConfigError(
                "`heteroscedastic` needs the aesthetic head or an attribute on a scale, whose "
                "error can be stated. Found neither."
            )

    @classmethod
    def from_fields(cls, described: Mapping[str, Any]) -> Architecture:
        """Return the architecture that a checkpoint describes.

        Version 0.2 wrote `sharing` as a name, with the options of all schemes beside it.

        Args:
            described: `dataclasses.asdict` of an architecture, with any kind of sequences.

        Raises:
            ConfigError: A value is not allowed, or the sharing scheme is unknown.
            TypeError: There are other fields.
        """
        plain = dict(described)
        sharing = plain.pop("sharing", "hard")
        beside = {k: plain.pop(k) for k in list(plain) if k.startswith("sharing_")}
        name = sharing if isinstance(sharing, str) else sharing["name"]
        require(name in SCHEMES, "sharing", f"one of {list(SCHEMES)}", name)
        scheme = SCHEMES[name]
        if isinstance(sharing, str):
            own = {each.name for each in fields(scheme)}
            options = {k.removeprefix("sharing_"): value for k, value in beside.items()}
            sharing = {k: value for k, value in options.items() if k in own}
        return cls(**plain, sharing=scheme(**_with_tuples(sharing)))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks: saliency, aesthetics, attributes."""
        main = [name for name in ("saliency", "aesthetics") if getattr(self, name)]
        return (*main, *(attribute.name for attribute in self.attributes))


def _with_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with tuples in place of lists, which JSON has."""

    def to_tuple(value: Any) -> Any:
        return tuple(map(to_tuple, value)) if isinstance(value, list | tuple) else value

    return {name: to_tuple(value) for name, value in options.items()}
