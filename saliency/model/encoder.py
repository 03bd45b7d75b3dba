"""The shared encoder: any timm network that can give features at several strides."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from saliency.errors import ConfigError
from saliency.model.stages import KNOWN, run_stages, split_stages

PROBE_SIDE_PX = 64


class Encoder(nn.Module):
    """A timm network cut into stages, with its batch normalisation frozen.

    Batches here are small and mix data sets, so ImageNet's statistics are better than theirs.

    Attributes:
        name: Of the timm network.
        strides: Input pixels per feature pixel of each stage, shallow to deep.
        channels: Channels of each stage, and then of the final features if there are any.
        mean: RGB mean that the weights were trained with, of channels scaled to 0..1.
        std: RGB standard deviation that the weights were trained with.
    """

    def __init__(
        self,
        name: str,
        *,
        final_features: bool = False,
        weights: Path | None = None,
        pretrained: bool = False,
        train_batch_norm_affine: bool = False,
    ) -> None:
        """Build the encoder.

        Args:
            name: A timm model name.
            final_features: Also give what the ImageNet classifier would pool (in EfficientNets
                the deepest stage after one more convolution).
            weights: ImageNet weights in a safetensors file of timm's key names.
            pretrained: Without `weights`, let timm download its own.
            train_batch_norm_affine: Train scale and shift; the statistics stay frozen.

        Raises:
            ConfigError: timm has no such network, it gives no such features, its weights cannot
                be downloaded, or `weights` are not its own.
        """
        super().__init__()
        self.name = name
        self._cut_is_checked = False
        if not timm.is_model(name):  # timm itself would look for `hf-hub:...` on the network
            raise ConfigError(
                "`encoder` should be the name of a timm network, such as tf_efficientnet_lite0. "
                f"Found {name!r}."
            )
        available = None if weights is None else _tensor_names(weights)
        wanted = (
            {"num_classes": 0, "global_pool": ""} if final_features else {"features_only": True}
        )
        with _refusal(name), _download(name), _silence() if weights else nullcontext():
            self.body: Any = timm.create_model(
                name,
                pretrained=pretrained or weights is not None,
                pretrained_cfg_overlay={"file": str(weights)} if weights else None,
                **wanted,
            )
        if available is not None:
            self._check_filled(available, str(weights))
        if final_features and not hasattr(self.body, "forward_intermediates"):
            raise ConfigError(
                "`final_features` needs a timm network with forward_intermediates. "
                f"Found {name!r}; set it to false for this one."
            )
        self.final_features = final_features
        for layer in self.batch_norms():
            layer.requires_grad_(train_batch_norm_affine)
        self.eval()
        with _refusal(name), torch.no_grad():
            probed = self(torch.zeros(1, 3, PROBE_SIDE_PX, PROBE_SIDE_PX))
        stages = probed[:-1] if final_features else probed
        self.channels: tuple[int, ...] = tuple(feature.shape[1] for feature in probed)
        self.strides: tuple[int, ...] = tuple(PROBE_SIDE_PX // f.shape[2] for f in stages)
        statistics = timm.data.resolve_model_data_config(self.body)  # type: ignore[no-untyped-call]
        self.mean: tuple[float, float, float] = tuple(statistics["mean"])
        self.std: tuple[float, float, float] = tuple(statistics["std"])
        self.train()

    def batch_norms(self) -> Iterator[_BatchNorm]:
        """Yield every batch normalisation layer."""
        for module in self.body.modules():
            if isinstance(module, _BatchNorm):
                yield module

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training, all but the batch normalisation, which keeps its statistics."""
        super().train(mode)
        hold_batch_norms(self)
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return features, shallow to deep.

        Args:
            images: (B, 3, h, w), normalised with `mean` and `std`.

        Returns:
            One (B, channels[i], h / strides[i], w / strides[i]) a stage, and then the final
            features if they were asked for.
        """
        if not self.final_features:
            return list(self.body(images))
        final, stages = self.body.forward_intermediates(images)
        return [*stages, final]

    def stages(self) -> list[nn.Module]:
        """Return the encoder as modules that make one feature each, from the one before.

        Raises:
            ConfigError: This network's stages cannot be run one at a time.
        """
        stages = split_stages(self.body, final=self.final_features)
        if stages is not None and (self._cut_is_checked or self._are_its_stages(stages)):
            self._cut_is_checked = True  # by the first call; later ones cost next to nothing
            return stages
        raise ConfigError(
            f"`sharing.name` mixes features stage by stage, which goes with {KNOWN}. Found "
            f"{self.name!r} with final_features = {str(self.final_features).lower()}."
        )

    @torch.no_grad()
    def _are_its_stages(self, stages: list[nn.Module]) -> bool:
        """Return whether modules run one after the other give the encoder's features."""
        first = next(self.parameters())
        image = torch.ones(1, 3, PROBE_SIDE_PX, PROBE_SIDE_PX, device=first.device)
        was_training = self.training
        self.eval()  # drop path
        whole, cut = self(image), run_stages(stages, image)
        self.train(was_training)
        return len(whole) == len(cut) and all(
            torch.allclose(a, b) for a, b in zip(whole, cut, strict=True)
        )

    def freeze_shallow(self, stride: int) -> int:
        """Stop training every parameter that acts at `stride` or finer.

        Shallow filters (edges, colours) transfer as they are, and skipping their backward pass,
        which runs at the highest resolution, makes a training step on a CPU up to half faster.

        Args:
            stride: The coarsest stride to freeze, for example 4; 0 freezes nothing.

        Returns:
            Number of parameters frozen.
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

    def _check_filled(self, available: set[str], path: str) -> None:
        """Refuse weights that leave parameters random, which timm only logs."""
        # timm flattens `stem.0` to `stem_0`, or puts `model.` before, where it cuts stages.
        missing = [
            name
            for name, _ in self.body.named_parameters()
            if name.removeprefix("model.").replace(".", "_") not in available
        ]
        if missing:
            raise ConfigError(
                f"`encoder_weights` {path} should fill the encoder. "
                f"Found no {missing[0]}, one of {len(missing)} missing tensors."
            )


def hold_batch_norms(module: nn.Module) -> None:
    """Let batch normalisation use the statistics that it has, also in training."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def _tensor_names(weights: Path) -> set[str]:
    """Return the names in a safetensors file, with `_` for `.`."""
    # timm would unpickle a file of any other suffix.
    if not weights.is_file() or weights.suffix != ".safetensors":
        raise ConfigError(f"`encoder_weights` should be a .safetensors file. Found {weights}.")
    try:
        with safe_open(weights, framework="pt") as file:
            return {name.replace(".", "_") for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ConfigError(
            f"`encoder_weights` {weights} should be a whole safetensors file. Found {error}."
        ) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep timm from listing tensors that a cut network leaves out: `_check_filled` looks."""
    log = logging.getLogger("timm.models._builder")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def _download(name: str) -> Iterator[None]:
    """Turn what timm raises where weights cannot be downloaded into one error."""
    try:
        yield
    except OSError as error:
        reason = textwrap.shorten(str(error), 300)
        found = timm.models.get_pretrained_cfg(name)
        source = (found and (found.hf_hub_id or found.url)) or "timm"
        raise ConfigError(
            f"`encoder_weights` should name a copy of the ImageNet weights of {name!r} (a "
            f".safetensors file, from {source}) where they cannot be downloaded. Found: {reason}"
        ) from error


@contextmanager
def _refusal(name: str) -> Iterator[None]:
    """Turn what timm raises into one error."""
    try:
        yield
    except (RuntimeError, AttributeError, AssertionError) as error:
        reason = textwrap.shorten(str(error), 300)
        raise ConfigError(
            "`encoder` should be a timm network that gives features, such as "
            f"tf_efficientnet_lite0. Found {name!r}: {reason}"
        ) from error
