"""The base class of all encoders: features at several strides, and their training."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Literal

import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from saliency.errors import ConfigError
from saliency.model.low_rank import add_low_rank
from saliency.model.stages import KNOWN

PROBE_SIDE_PX = 64

TuningName = Literal["full", "low_rank", "frozen"]
"""The part of a pretrained network that is trained."""


class Encoder(nn.Module):
    """A timm network that gives features at several strides, with its batch normalisation frozen.

    Batches here are small and mix data sets, so ImageNet's statistics are better than theirs.
    `saliency.model.encoders` holds the kinds.

    Attributes:
        name: Name of the timm network.
        body: The timm network; modules that a kind adds to it start at random.
        final_features: Whether one more feature follows the stages.
        strides: Input pixels per feature pixel of each stage, shallow to deep.
        channels: Channels of each stage, and then of the final features if there are any.
        mean: RGB mean that the weights were trained with, of channels scaled to 0..1.
        std: RGB standard deviation that the weights were trained with.
        learning_rate: Default learning rate.
        layer_decay: Default factor of the learning rate from one layer to the one before.
    """

    near = "tf_efficientnet_lite0"
    """An encoder of this kind that works, named in errors."""

    strides: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()

    def __init__(
        self, name: str, body: nn.Module, *, final_features: bool, train_batch_norm_affine: bool
    ) -> None:
        super().__init__()
        self.name = name
        self.body: Any = body
        self.final_features = final_features
        self.learning_rate, self.layer_decay = 2e-4, 1.0
        statistics = timm.data.resolve_model_data_config(body)  # type: ignore[no-untyped-call]
        self.mean: tuple[float, float, float] = tuple(statistics["mean"])
        self.std: tuple[float, float, float] = tuple(statistics["std"])
        for layer in self.batch_norms():
            layer.requires_grad_(train_batch_norm_affine)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return features, shallow to deep.

        Args:
            images: (B, 3, h, w), normalised with `mean` and `std`, h and w multiples of 32.

        Returns:
            One (B, channels[i], h / strides[i], w / strides[i]) for each stage, and then the final
            features if they were requested.
        """
        raise NotImplementedError

    def measure(self) -> None:
        """Find out channels and strides by a forward pass.

        Raises:
            ConfigError: The network does not give features, or not at every size.
        """
        self.eval()
        probed = self.check_size((PROBE_SIDE_PX, PROBE_SIDE_PX))
        self.check_size(
            (PROBE_SIDE_PX, 2 * PROBE_SIDE_PX)
        )  # refuses encoders that take only squares
        stages = probed[:-1] if self.final_features else probed
        if any(feature.ndim != 4 for feature in probed):
            raise self._refuse("it gives no maps")
        self.channels = tuple(feature.shape[1] for feature in probed)
        self.strides = tuple(PROBE_SIDE_PX // feature.shape[2] for feature in stages)
        self.train()

    @torch.no_grad()
    def check_size(self, size: tuple[int, int]) -> list[Tensor]:
        """Return the features of a black image of `size` (height, width).

        Raises:
            ConfigError: The network does not take this size.
        """
        first = next(self.parameters())
        try:
            maps: list[Tensor] = self(torch.zeros(1, 3, *size, device=first.device))
        except (RuntimeError, AttributeError, AssertionError, IndexError, ValueError) as error:
            raise self._refuse(f"an input of {size[0]}x{size[1]} fails with {error}") from error
        return maps

    def batch_norms(self) -> Iterator[_BatchNorm]:
        """Yield every batch normalisation layer."""
        for module in self.body.modules():
            if isinstance(module, _BatchNorm):
                yield module

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training mode, except batch normalisation, which keeps its statistics."""
        super().train(mode)
        hold_batch_norms(self)
        return self

    def tune(self, how: TuningName, rank: int) -> None:
        """Choose the part of the pretrained network that is trained; other modules always are.

        Args:
            how: The whole network, an addition of low rank to its attention matrices, or nothing.
            rank: Rank of the addition.

        Raises:
            ConfigError: The network has no attention.
        """
        if how == "full":
            return
        self.body.requires_grad_(False)
        if how == "low_rank":
            if not add_low_rank(self.body, rank):
                raise ConfigError(
                    "`model.encoder_tuning` = 'low_rank' needs an encoder with attention, such as "
                    f"vit_small_patch14_dinov2. Found {self.name!r}; tune it whole, or not at all."
                )
            self.learning_rate, self.layer_decay = 3e-4, 1.0

    def fresh_parameters(self) -> list[nn.Parameter]:
        """Return the trained parameters that started at random beside the pretrained network."""
        own = {id(parameter) for parameter in self.body.parameters()}
        return [p for p in self.parameters() if p.requires_grad and id(p) not in own]

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the trained parameters of the pretrained network by layer, shallow to deep.

        Raises:
            ConfigError: Its layers are unknown.
        """
        if not hasattr(self.body, "group_matcher"):
            raise ConfigError(
                "`train.layer_decay` needs an encoder whose layers timm numbers. "
                f"Found {self.name!r}, which is cut into stages; set model.final_features to true "
                "or train.layer_decay to 1."
            )
        matcher = self.body.group_matcher(coarse=False)
        names: dict[int, list[str]] = group_parameters(self.body, matcher)
        by_name = dict(self.body.named_parameters())
        return [
            [by_name[name] for name in names[number] if by_name[name].requires_grad]
            for number in sorted(names)
        ]

    def stages(self) -> list[nn.Module]:
        """Return the encoder as modules that make one feature each, from the one before.

        Raises:
            ConfigError: This network's stages cannot be run one at a time.
        """
        raise ConfigError(
            f"`sharing.name` mixes features stage by stage, which is possible for {KNOWN}. Found "
            f"{self.name!r} with final_features = {str(self.final_features).lower()}."
        )

    def freeze_shallow(self, stride: int) -> int:
        """Stop training every parameter that acts at `stride` or finer.

        Shallow filters (edges, colours) transfer as they are, and skipping their backward pass,
        which runs at the highest resolution, makes a training step on a CPU up to half faster.

        Args:
            stride: The coarsest stride to freeze, for example 4; 0 freezes nothing.

        Returns:
            Number of frozen parameters.

        Raises:
            ConfigError: Every layer of this network acts at all strides.
        """
        shallow = [i for i, own_stride in enumerate(self.strides) if own_stride <= stride]
        if not shallow:
            return 0
        # A parameter is shallow exactly if a shallow feature depends on it.
        frozen = self._trained_for(shallow[-1])
        for parameter in frozen:
            parameter.requires_grad_(False)
        return sum(p.numel() for p in frozen)

    def last_layer(self, stage: int) -> nn.Parameter | None:
        """Return the weight of the last layer trained for a stage; None if none of it is trained.

        Args:
            stage: Index into the features.
        """
        # Networks list their layers in the order in which they act.
        layers = [p for p in self._trained_for(stage) if p.ndim > 1]
        return layers[-1] if layers else None

    def _trained_for(self, stage: int) -> list[nn.Parameter]:
        """Return the trained parameters that a stage's features depend on."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        if not trainable:
            return []
        image = torch.zeros(1, 3, PROBE_SIDE_PX, PROBE_SIDE_PX, device=trainable[0].device)
        probe = self(image)[stage]
        if not probe.requires_grad:
            return []
        gradients = torch.autograd.grad(probe.sum(), trainable, allow_unused=True)
        return [p for p, g in zip(trainable, gradients, strict=True) if g is not None]

    def _refuse(self, reason: str) -> ConfigError:
        return refusal(self.name, reason, self.near)


def refusal(name: str, reason: str, near: str) -> ConfigError:
    """Return the error for a network that cannot be an encoder.

    Args:
        name: Name of the network.
        reason: Why it cannot be used.
        near: One or several networks that work.
    """
    return ConfigError(
        "`encoder` should be a timm network that gives features of photos of any shape, such as "
        f"{near}. Found {name!r}: {textwrap.shorten(reason, 300)}"
    )


def hold_batch_norms(module: nn.Module) -> None:
    """Make batch normalisation use its stored statistics, also in training."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()
