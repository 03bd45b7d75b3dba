"""The whole network: encoder, sharing scheme, and a head for each task."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.errors import ConfigError
from saliency.model.aesthetics import AestheticHead, Rating
from saliency.model.architecture import Architecture, GuidanceForm
from saliency.model.attributes import AttributeHead
from saliency.model.decoder import SaliencyDecoder
from saliency.model.encoders import build_encoder
from saliency.model.priors import DatasetPriors
from saliency.model.sharing import Readers, SharedFeatures
from saliency.types import Output


class _Maps(NamedTuple):
    """Log-densities from the decoder.

    Attributes:
        coarse: (B, h', w') log-density at the decoder's size.
        log_density: (B, h, w), the same at the input's size.
        auxiliary: (B, h, w) each, of the decoder's coarser stages while training.
    """

    coarse: Tensor
    log_density: Tensor
    auxiliary: tuple[Tensor, ...]


class SaliencyNetwork(nn.Module):
    """One encoder, a head for each task, and guidance from the aesthetic head to the decoder.

    A network for one task is this class with one head; the other's output is None. Other ways of
    sharing than one encoder for all are in `saliency.model.sharing`.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        encoder_weights: Path | None = None,
        pretrained: bool = False,
        train_batch_norm_affine: bool = False,
    ) -> None:
        """Build the network, randomly initialised except for the encoder.

        Args:
            architecture: Options of the network.
            encoder_weights: Pretrained weights of the encoder in a safetensors file.
            pretrained: Without `encoder_weights`, let timm download its own.
            train_batch_norm_affine: Train the encoder's batch normalisation scale and shift.

        Raises:
            ConfigError: The encoder is unknown or has no stage of a requested stride.
        """
        super().__init__()
        self.architecture = architecture
        self.encoder = build_encoder(
            architecture.encoder,
            final_features=architecture.final_features,
            blocks=architecture.encoder_blocks,
            weights=encoder_weights,
            pretrained=pretrained,
            train_batch_norm_affine=train_batch_norm_affine,
        )
        self.sharing = architecture.sharing.build(self.encoder, len(architecture.tasks))
        self.aesthetics: AestheticHead | None = None
        self.decoder: SaliencyDecoder | None = None
        self.priors: DatasetPriors | None = None
        self.aesthetic_stages: list[int] = []
        self.saliency_stages: list[int] = []
        if architecture.aesthetics or architecture.attributes:
            self.aesthetic_stages = self._stages(
                "aesthetic_strides", architecture.aesthetic_strides
            )
        pooled = [self.encoder.channels[i] for i in self.aesthetic_stages]
        if architecture.aesthetics:
            self.aesthetics = AestheticHead(
                pooled,
                architecture.embedding_features,
                architecture.dropout,
                attention=architecture.score_attention,
                heteroscedastic=architecture.heteroscedastic,
            )
        if architecture.saliency:
            self.saliency_stages = self._stages("saliency_strides", architecture.saliency_strides)
            if self._guided_by("gate") and self.aesthetic_stages != self.saliency_stages:
                raise ConfigError(
                    "Guidance by `gate` needs both heads to read the same stages. Found "
                    f"{architecture.aesthetic_strides} and {architecture.saliency_strides}."
                )
            self.decoder = SaliencyDecoder(
                [self.encoder.channels[i] for i in self.saliency_stages],
                architecture.decoder_channels,
                embedding_length=(
                    self.aesthetics.embedding_length
                    if self.aesthetics is not None and self._guided_by("film")
                    else None
                ),
                activation_maps=(
                    architecture.embedding_features if self._guided_by("gate") else None
                ),
                auxiliary_outputs=architecture.auxiliary_outputs,
            )
            self.priors = DatasetPriors(len(architecture.datasets))
        self.attributes = nn.ModuleList(
            AttributeHead(
                pooled,
                attribute,
                architecture.dropout,
                heteroscedastic=architecture.heteroscedastic,
            )
            for attribute in architecture.attributes
        )

    def forward(
        self, images: Tensor, dataset_index: Tensor | None = None, *, enlarge: bool = True
    ) -> Output:
        """Predict.

        Args:
            images: (B, 3, h, w) float32, normalised, h and w multiples of 32.
            dataset_index: (B,) int64, index of the set whose priors to use; None is neutral for
                all.
            enlarge: Whether the log-density is enlarged to the input's size; else it has the
                decoder's size.

        Returns:
            Output of each head; None for missing heads.
        """
        shared = self.sharing(self.encoder, images)
        attributes = [
            head(
                self._read(shared, head.attribute.name),
                feature_gradient=self.architecture.attribute_gradient,
            )
            for head in self.attribute_heads()
        ]
        rating = self._rate(shared)
        maps = self._map(shared, rating, (images.shape[2], images.shape[3]), dataset_index)
        output = Output(
            features=self._gradient_tensors(shared),
            attributes=tuple(one.output for one in attributes),
        )
        if self.architecture.heteroscedastic:
            errors = tuple(one.log_variance for one in attributes)
            output = output._replace(attribute_log_variances=errors)
        if rating is not None:
            output = output._replace(
                score_logits=self._attend(shared, rating, maps),
                aesthetic_features=rating.features,
                score_log_variance=rating.log_variance,
            )
        if maps is not None:
            output = output._replace(
                log_density=maps.log_density if enlarge else maps.coarse,
                auxiliary_log_densities=maps.auxiliary,
            )
        return output

    def _gradient_tensors(self, shared: SharedFeatures) -> tuple[Tensor, ...]:
        """Return, in training, the tensors at which the heads' gradients are measured."""
        if not self.training:
            return ()
        read = sorted({*self.aesthetic_stages, *self.saliency_stages})
        return tuple(x for stage in read for x in shared.measured[stage] if x.requires_grad)

    def _rate(self, shared: SharedFeatures) -> Rating | None:
        """Return the scores and their embedding, before attention is taken into account."""
        if self.aesthetics is None:
            return None
        rating: Rating = self.aesthetics(
            self._read(shared, "aesthetics"),
            stop_embedding_gradient=self.architecture.stop_guidance_gradient,
            feature_gradient=self.architecture.aesthetic_gradient,
        )
        return rating

    def _map(
        self,
        shared: SharedFeatures,
        rating: Rating | None,
        size: tuple[int, int],
        dataset_index: Tensor | None,
    ) -> _Maps | None:
        """Return the log-densities, guided by the aesthetic branch, at the input's `size`."""
        if self.decoder is None or self.priors is None:
            return None
        activation_maps = None
        if self.aesthetics is not None and self._guided_by("gate"):
            activation_maps = self.aesthetics.activation_maps(
                self._read(shared, "aesthetics"),
                stop_gradient=self.architecture.stop_guidance_gradient,
            )
        logits, auxiliary = self.decoder(
            self._read(shared, "saliency"),
            None if rating is None else rating.embedding,
            activation_maps,
        )
        # The softmax over pixels needs float32 also under autocast.
        with torch.autocast(logits.device.type, enabled=False):
            coarse = self.priors(logits.float(), dataset_index)
            return _Maps(
                coarse,
                upsample(coarse, size),
                tuple(
                    upsample(x.float().flatten(1).log_softmax(dim=1).view_as(x), size)
                    for x in auxiliary
                ),
            )

    def _attend(self, shared: SharedFeatures, rating: Rating, maps: _Maps | None) -> Tensor:
        """Return the score logits, with attention taken into account."""
        if self.aesthetics is None or maps is None or not self.architecture.score_attention:
            return rating.logits
        return rating.logits + self.aesthetics.attended_logits(
            self._read(shared, "aesthetics"),
            maps.log_density.exp(),
            feature_gradient=self.architecture.aesthetic_gradient,
        )

    def attribute_heads(self) -> list[AttributeHead]:
        """Return the heads of the attributes, in their order."""
        return [head for head in self.attributes if isinstance(head, AttributeHead)]

    def draw_dropout(self, count: int, seed: int) -> Tensor:
        """Return masks of the features that `count` samples of dropout keep.

        Args:
            count: Number of samples S.
            seed: The same seed keeps the same features, on every device.

        Returns:
            (S, F), 0 for a dropped feature and 1 / (1 - dropout) for a kept one.

        Raises:
            ConfigError: There are no scores, or the network was trained without dropout.
        """
        dropout = self.architecture.dropout
        if self.aesthetics is None or not dropout:
            raise ConfigError(
                "Samples of dropout need a network with scores that was trained with "
                f"model.dropout > 0. Found aesthetics = {self.architecture.aesthetics} and dropout "
                f"= {dropout:g}; an ensemble needs neither."
            )
        random = torch.Generator().manual_seed(seed)
        kept = torch.rand(count, self.aesthetics.pooled_length, generator=random) >= dropout
        return kept.float() / (1 - dropout)

    def sample_score_logits(self, output: Output, kept: Tensor) -> Tensor:
        """Return (B, S, K) score logits of `output` with dropout.

        Only the read-out is computed again: logits are linear in the features.

        Args:
            output: Output of this network in evaluation mode.
            kept: (S, F) masks from `draw_dropout`.

        Source:
            Gal, Ghahramani, "Dropout as a Bayesian approximation: representing model uncertainty
            in deep learning" (2016).
        """
        features, logits = output.aesthetic_features, output.score_logits
        assert self.aesthetics is not None  # noqa: S101
        assert features is not None and logits is not None  # noqa: S101, PT018
        lost = features.float()[:, None] * (kept - 1)  # (B, S, F)
        return logits.float()[:, None] + lost @ self.aesthetics.logits.weight.float().T

    def error_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the stated errors; they change no map and no score."""
        heads = (self.aesthetics, *self.attribute_heads())
        errors = [head.error for head in heads if head is not None and head.error is not None]
        return [parameter for error in errors for parameter in error.parameters()]

    def last_shared_layers(self) -> tuple[nn.Parameter, ...]:
        """Return the weights of the encoder's last trained layer that all heads use, if any is.

        If tasks have their own encoders, there is one for each encoder.
        """
        read = [stages for stages in (self.aesthetic_stages, self.saliency_stages) if stages]
        return tuple(self.sharing.last_layers(self.encoder, min(max(s) for s in read)))

    def penalty(self) -> Tensor | None:
        """Return the penalty of the sharing scheme, a scalar >= 0; None if it has none."""
        return self.sharing.penalty(self.encoder, self.readers())

    def readers(self) -> Readers:
        """Return, for each encoder stage, the weight of every task's head that reads it."""
        by_stage = []
        for stage, channels in enumerate(self.encoder.channels):
            weights = []
            for task in self.architecture.tasks:
                stages = self._stages_of(task)
                if stage not in stages:
                    weights.append(next(self.parameters()).new_zeros(0, channels))
                elif task == "saliency" and self.decoder is not None:
                    weights.append(self.decoder.reader(stages.index(stage)))
                else:
                    weights.append(self._read_out(task)[stages.index(stage)])
            by_stage.append(weights)
        return by_stage

    def _read_out(self, task: str) -> list[Tensor]:
        """Return the weight of a pooled head, cut by stage."""
        if task == "aesthetics" and self.aesthetics is not None:
            return self.aesthetics.by_channel(self.aesthetics.logits.weight)
        [head] = [head for head in self.attribute_heads() if head.attribute.name == task]
        return head.by_channel(head.readout.weight)

    def _stages_of(self, task: str) -> list[int]:
        return self.saliency_stages if task == "saliency" else self.aesthetic_stages

    def _read(self, shared: SharedFeatures, task: str) -> list[Tensor]:
        """Return the features that a task's head reads."""
        own = shared.by_task[self.architecture.tasks.index(task)]
        return [own[stage] for stage in self._stages_of(task)]

    def _guided_by(self, form: GuidanceForm) -> bool:
        return self.architecture.guidance and self.architecture.guidance_form == form

    def _stages(self, parameter: str, strides: tuple[int, ...]) -> list[int]:
        """Return the indices of the features that a head reads, shallow to deep."""
        available = self.encoder.strides
        missing = [stride for stride in strides if stride not in available]
        if missing or not (strides or self.architecture.final_features):
            raise ConfigError(
                f"`{parameter}` should name stages of {self.architecture.encoder}, whose strides "
                f"are {available}. Found {strides}; tf_efficientnet_lite2, convnext_tiny and "
                "vit_small_patch14_dinov2 have all of 4, 8, 16 and 32."
            )
        stages = [available.index(stride) for stride in sorted(strides)]
        return [*stages, len(available)] if self.architecture.final_features else stages


def upsample(log_density: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `log_density` (B, h', w') at `size`, scaled so that exp sums to 1 again."""
    enlarged = F.interpolate(log_density[:, None], size, mode="bilinear")[:, 0]
    return enlarged - enlarged.flatten(1).logsumexp(dim=1)[:, None, None]
