"""Networks whose stages halve their input: convolutional ones, and transformers built like them."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from saliency.errors import ConfigError
from saliency.model.encoder import PROBE_SIDE_PX, Encoder
from saliency.model.encoders.loading import Source, create_body
from saliency.model.stages import run_stages, split_stages

WINDOWED = ("swin_transformer", "swin_transformer_v2", "swin_transformer_v2_cr")
"""timm's modules of networks that take any size if their windows are padded."""

NARROW = 16
"""Channels below which oneDNN's strided pointwise convolution is not safe to train."""


class StagedEncoder(Encoder):
    """A timm network, cut into stages by timm."""

    near = "tf_efficientnet_lite0, convnext_tiny or swin_tiny_patch4_window7_224"

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        final_features: bool = False,
        train_batch_norm_affine: bool = False,
    ) -> None:
        """Build the encoder; `measure` then finds its channels and strides.

        Args:
            name: A timm model name.
            source: Source of its weights.
            final_features: Also give the features that the ImageNet classifier would pool (in
                EfficientNets the deepest stage after one more convolution).
            train_batch_norm_affine: Train scale and shift; the statistics stay frozen.
        """
        advice = ""
        windowed = timm.models.is_model_in_modules(name, WINDOWED)
        wanted: dict[str, Any] = {"strict_img_size": False} if windowed else {}
        if final_features:
            wanted |= {"num_classes": 0, "global_pool": ""}
            advice = "; with model.final_features = false it may do"
        else:
            wanted |= {"features_only": True} | ({"feature_cls": "getter"} if windowed else {})
        body = create_body(name, source, self.near, advice, **wanted)
        if final_features and not hasattr(body, "forward_intermediates"):
            raise ConfigError(
                "`final_features` needs a timm network with forward_intermediates. "
                f"Found {name!r}; set it to false for this one."
            )
        super().__init__(
            name,
            body,
            final_features=final_features,
            train_batch_norm_affine=train_batch_norm_affine,
        )
        self._cut_is_checked = False
        _thin_out(body)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return features, shallow to deep, see `Encoder.forward`."""
        if not self.final_features:
            return list(self.body(images))
        final, stages = self.body.forward_intermediates(images)
        if getattr(self.body, "output_fmt", "NCHW") == "NHWC":
            final = final.permute(0, 3, 1, 2)
        return [*stages, final]

    def measure(self) -> None:
        """Find out channels and strides by a forward pass, see `Encoder.measure`."""
        super().measure()
        if self.final_features:
            with torch.no_grad():
                *_, deepest, final = self(torch.zeros(1, 3, PROBE_SIDE_PX, 2 * PROBE_SIDE_PX))
            if final.shape[2:] != deepest.shape[2:]:
                raise ConfigError(
                    "`final_features` needs a timm network that ends in a map as large as its "
                    f"last stage. Found {self.name!r}; set it to false for this one."
                )

    def stages(self) -> list[nn.Module]:
        """Return the encoder as modules that make one feature each, see `Encoder.stages`."""
        stages = split_stages(self.body, final=self.final_features)
        if stages is not None and (self._cut_is_checked or self._are_its_stages(stages)):
            self._cut_is_checked = True  # by the first call; later ones cost next to nothing
            return stages
        return super().stages()

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


def _thin_out(body: nn.Module) -> None:
    """Make strided pointwise convolutions of few channels drop pixels first instead of striding.

    The results are the same. But with channels last oneDNN writes past its memory in the backward
    pass of these (on the three channels of a photo in FastViT, MobileOne and RepVGG): the process
    dies, or the loss is NaN some steps later.

    Source:
        https://github.com/uxlfoundation/oneDNN/issues/6035
    """
    for module in body.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        rows, columns = module.stride
        pointwise = module.kernel_size == (1, 1) and module.padding == (0, 0)
        if pointwise and max(rows, columns) > 1 and module.in_channels < NARROW:
            module.stride = (1, 1)
            module.register_forward_pre_hook(_Drop(rows, columns))


class _Drop:
    """A hook that keeps every so many rows and columns of a layer's input."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns

    def __call__(self, module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (inputs[0][:, :, :: self.rows, :: self.columns],)
