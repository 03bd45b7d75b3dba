"""The whole network: encoder, what the tasks share of it, a head a task."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency.errors import ConfigError
from saliency.model.aesthetics import AestheticHead
from saliency.model.architecture import Architecture, GuidanceForm
from saliency.model.attributes import AttributeHead
from saliency.model.decoder import SaliencyDecoder
from saliency.model.encoder import Encoder
from saliency.model.priors import DatasetPriors
from saliency.model.sharing import Readers, build_sharing
from saliency.types import Output


class SaliencyNetwork(nn.Module):
    """One encoder, a head a task, and guidance from the aesthetic head to the decoder.

    A network for one task alone is this class with one head; the other's output is None. Other
    ways to share than one encoder for all are `saliency.model.sharing`'s.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        encoder_weights: Path | None = None,
        pretrained: bool = False,
        train_batch_norm_affine: bool = False,
    ) -> None:
        """Build the network, randomly initialised but for the encoder.

        Args:
            architecture: What to build.
            encoder_weights: ImageNet weights of the encoder in a safetensors file.
            pretrained: Without `encoder_weights`, let timm download its own.
            train_batch_norm_affine: Train the encoder's batch normalisation scale and shift.

        Raises:
            ConfigError: The encoder is unknown or lacks a stage of the asked stride.
        """
        super().__init__()
        self.architecture = architecture
        self.encoder = Encoder(
            architecture.encoder,
            final_features=architecture.final_features,
            weights=encoder_weights,
            pretrained=pretrained,
            train_batch_norm_affine=train_batch_norm_affine,
        )
        self.sharing = build_sharing(
            architecture.sharing,
            self.encoder,
            len(architecture.tasks),
            per_channel=architecture.sharing_per_channel,
            subspaces=architecture.sharing_subspaces,
            update_every=architecture.sharing_update_every,
            tree=architecture.sharing_tree,
        )
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
            dataset_index: (B,) int64, which set's priors to use; None is neutral for all.
            enlarge: Whether the log-density comes at the input's size or at the decoder's, for
                whoever enlarges it.

        Returns:
            Log-density (B, h, w) and score logits (B, K), None where the head is missing.
        """
        features, met = self.sharing(self.encoder, images)
        trained: tuple[Tensor, ...] = ()
        if self.training:
            read = sorted({*self.aesthetic_stages, *self.saliency_stages})
            trained = tuple(x for stage in read for x in met[stage] if x.requires_grad)
        told = [
            head(
                self._read(features, head.attribute.name),
                feature_gradient=self.architecture.attribute_gradient,
            )
            for head in self.attribute_heads()
        ]
        attributes = tuple(value for value, _ in told)
        errors = tuple(error for _, error in told) if self.architecture.heteroscedastic else ()
        score_logits = embedding = pooled = score_error = None
        rated: list[Tensor] = []
        if self.aesthetics is not None:
            rated = self._read(features, "aesthetics")
            score_logits, embedding, pooled, score_error = self.aesthetics(
                rated,
                stop_embedding_gradient=self.architecture.stop_guidance_gradient,
                feature_gradient=self.architecture.aesthetic_gradient,
            )
        if self.decoder is None or self.priors is None:
            return Output(None, score_logits, (), pooled, trained, attributes, score_error, errors)

        maps = None
        if self.aesthetics is not None and self._guided_by("gate"):
            maps = self.aesthetics.activation_maps(
                rated, stop_gradient=self.architecture.stop_guidance_gradient
            )
        logits, auxiliary = self.decoder(self._read(features, "saliency"), embedding, maps)
        size = (images.shape[2], images.shape[3])
        # The softmax over pixels wants float32 also under autocast.
        with torch.autocast(images.device.type, enabled=False):
            coarse = self.priors(logits.float(), dataset_index)
            log_density = upsample(coarse, size)
            auxiliary_log_densities = tuple(
                upsample(x.float().flatten(1).log_softmax(dim=1).view_as(x), size)
                for x in auxiliary
            )
        if (
            self.aesthetics is not None
            and score_logits is not None
            and self.architecture.score_attention
        ):
            score_logits = score_logits + self.aesthetics.attended_logits(
                rated,
                log_density.exp(),
                feature_gradient=self.architecture.aesthetic_gradient,
            )
        shown = log_density if enlarge else coarse
        return Output(
            shown,
            score_logits,
            auxiliary_log_densities,
            pooled,
            trained,
            attributes,
            score_error,
            errors,
        )

    def attribute_heads(self) -> list[AttributeHead]:
        """Return the heads of the attributes, in their order."""
        return [head for head in self.attributes if isinstance(head, AttributeHead)]

    def draw_dropout(self, count: int, seed: int) -> Tensor:
        """Return which features `count` samples of the score read-out keep.

        Args:
            count: S.
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
        """Return (B, S, K) score logits of `output` with features dropped.

        Nothing but the read-out is computed again: logits are linear in the features.

        Args:
            output: Of this network in evaluation.
            kept: (S, F) from `draw_dropout`.

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
        """Return the parameters of what states errors; they change no map and no score."""
        heads = (self.aesthetics, *self.attribute_heads())
        errors = [head.error for head in heads if head is not None and head.error is not None]
        return [parameter for error in errors for parameter in error.parameters()]

    def last_shared_layers(self) -> tuple[nn.Parameter, ...]:
        """Return the weights of the encoder's last trained layer that all heads use, if any is.

        Where tasks have encoders of their own, one each.
        """
        read = [stages for stages in (self.aesthetic_stages, self.saliency_stages) if stages]
        return tuple(self.sharing.last_layers(self.encoder, min(max(s) for s in read)))

    def penalty(self) -> Tensor | None:
        """Return what the sharing scheme adds to the loss, a scalar >= 0; None for none."""
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

    def _read(self, features: tuple[list[Tensor], ...], task: str) -> list[Tensor]:
        """Return what a task's head reads of all tasks' features."""
        own = features[self.architecture.tasks.index(task)]
        return [own[stage] for stage in self._stages_of(task)]

    def _guided_by(self, form: GuidanceForm) -> bool:
        return self.architecture.guidance and self.architecture.guidance_form == form

    def _stages(self, parameter: str, strides: tuple[int, ...]) -> list[int]:
        """Return the indices of the features that a head reads, shallow to deep."""
        available = self.encoder.strides
        missing = [stride for stride in strides if stride not in available]
        if missing or not strides:
            raise ConfigError(
                f"`{parameter}` should name stages of {self.architecture.encoder}, whose strides "
                f"are {available}. Found {strides}."
            )
        stages = [available.index(stride) for stride in sorted(strides)]
        return [*stages, len(available)] if self.architecture.final_features else stages


def upsample(log_density: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `log_density` (B, h', w') at `size`, scaled so that exp sums to 1 again."""
    enlarged = F.interpolate(log_density[:, None], size, mode="bilinear")[:, 0]
    return enlarged - enlarged.flatten(1).logsumexp(dim=1)[:, None, None]
