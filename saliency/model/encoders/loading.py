"""Build timm networks and load their weights, with errors that say what would work."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import timm
from safetensors import SafetensorError, safe_open
from torch import nn

from saliency.errors import ConfigError
from saliency.model.encoder import refusal


class Source(NamedTuple):
    """The source of an encoder's weights.

    Attributes:
        weights: A safetensors file of timm's key names.
        pretrained: Without `weights`, let timm download its own; else they are random.
    """

    weights: Path | None = None
    pretrained: bool = False


def create_body(name: str, source: Source, near: str, advice: str = "", **wanted: Any) -> Any:
    """Return a timm network with its weights.

    Args:
        name: Name of the network.
        source: Source of its weights.
        near: Networks to suggest if this one is refused.
        advice: Further advice for that case.
        wanted: Further arguments for timm.

    Raises:
        ConfigError: timm cannot build it, its weights cannot be downloaded, or `source.weights`
            are not its own.
    """
    weights = source.weights
    available = None if weights is None else _tensor_names(weights)
    try:
        with _download(name), _silence() if weights else nullcontext():
            body: nn.Module = timm.create_model(
                name,
                pretrained=source.pretrained or weights is not None,
                pretrained_cfg_overlay={"file": str(weights)} if weights else None,
                **wanted,
            )
    except ConfigError:  # also a ValueError, with its own message
        raise
    except (RuntimeError, AttributeError, AssertionError, ValueError) as error:
        raise refusal(name, f"{error}{advice}", near) from error
    if available is not None:
        _check_filled(body, available, str(weights))
    return body


def _check_filled(body: nn.Module, available: set[str], path: str) -> None:
    """Refuse weights that leave parameters random, which timm only logs."""
    # timm flattens `stem.0` to `stem_0`, or puts `model.` before, where it cuts stages.
    missing = [
        name
        for name, _ in body.named_parameters()
        if name.removeprefix("model.").replace(".", "_") not in available
    ]
    if missing:
        raise ConfigError(
            f"`encoder_weights` {path} should fill the encoder. "
            f"Found no {missing[0]}, one of {len(missing)} missing tensors."
        )


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
    """Silence timm's list of tensors that a cut network leaves out: `_check_filled` checks them."""
    log = logging.getLogger("timm.models._builder")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def _download(name: str) -> Iterator[None]:
    """Turn timm's errors for weights that cannot be downloaded into one error."""
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
