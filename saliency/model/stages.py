"""A timm network cut into stages that can be run one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

KNOWN = (
    "EfficientNets and MnasNets, such as tf_efficientnet_lite0, and with final_features = false "
    "all networks that timm cuts at their top level, such as resnet18 and convnext_tiny"
)


def split_stages(body: Any, *, final: bool) -> list[nn.Module] | None:
    """Cut a network at its features.

    Args:
        body: Network made by `Encoder`.
        final: Whether the last feature is the one that the ImageNet classifier pools.

    Returns:
        One module for each feature: the first takes images, each other one the feature before
        its own. They contain the layers of `body` itself. None for networks of other kinds.
    """
    return _split_list(body) or _split_efficientnet(body, final=final)


def run_stages(stages: Sequence[nn.Module], images: Tensor) -> list[Tensor]:
    """Return the feature of each stage, shallow to deep."""
    features = []
    x = images
    for stage in stages:
        x = stage(x)
        features.append(x)
    return features


def _split_list(body: Any) -> list[nn.Module] | None:
    """Cut a network that timm builds as a list of consecutive layers."""
    read: Any = getattr(body, "return_layers", None)
    if not isinstance(body, nn.ModuleDict) or read is None:
        return None
    stages: list[nn.Module] = []
    layers: list[nn.Module] = []
    for name, layer in body.items():
        layers.append(layer)
        if name in read:
            stages.append(nn.Sequential(*layers))
            layers = []
    return stages


def _split_efficientnet(body: Any, *, final: bool) -> list[nn.Module] | None:
    """Cut an EfficientNet or a network built like one."""
    parts = ["conv_stem", "bn1", "blocks", "feature_info"] + ["conv_head", "bn2"] * final
    if not all(hasattr(body, part) for part in parts):
        return None
    info = body.feature_info
    ends = [item["stage"] for item in (info.get_dicts() if hasattr(info, "get_dicts") else info)]
    stages: list[nn.Module] = []
    layers: list[nn.Module] = [body.conv_stem, body.bn1]
    if ends[0] == 0:
        stages.append(nn.Sequential(*layers))
        layers = []
    for number, block in enumerate(body.blocks, start=1):
        layers.append(block)
        if number in ends:
            stages.append(nn.Sequential(*layers))
            layers = []
    if final:
        stages.append(nn.Sequential(*layers, body.conv_head, body.bn2))
    return stages
