"""Checkpoints: one safetensors file with weights, architecture, preprocessing and origin.

Nothing is unpickled, so a checkpoint from a stranger may be wrong but cannot run code. PyTorch is
imported only when a network is built, because that takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from saliency.errors import CheckpointError, SaliencyError
from saliency.extras import require_extra
from saliency.files import write_atomically
from saliency.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

    from saliency.model import SaliencyNetwork

FORMAT = "aesthetic-saliency"
FORMAT_VERSION = 1
PACKAGE = Path(__file__).parent
RELEASED_NAME = "aesthetic-saliency.safetensors"
RELEASES = {"default": RELEASED_NAME, "accurate": "aesthetic-saliency-accurate.safetensors"}
"""Released weights by the name that `find_weights` knows; `accurate` is slower and sees more."""

BUFFERS = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "feature_mean",
    "feature_std",
    "basis",
    "output_covariance",
    "input_covariance",
    "task_covariance",
)
"""Last parts of the names of tensors that no gradient changes."""


@dataclass(frozen=True)
class Card:
    """The origin of a checkpoint: text and numbers for people.

    Attributes:
        version: Version of the weights, not of the code.
        license: Licence of the weights.
        data: One line for each data set that it was trained on.
        metrics: Set -> metric -> value, measured on images that were not trained on.
        config: The effective training config.
        commit: Commit of the code that trained it.
    """

    version: str = "unreleased"
    license: str = "Apache-2.0"
    data: tuple[str, ...] = ()
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    commit: str = ""

    def unmeasured(self) -> Card:
        """Return the card of weights made from these: version and metrics are not theirs."""
        return replace(self, version=Card.version, metrics={})


@dataclass(frozen=True)
class Header:
    """The header of a checkpoint.

    Attributes:
        architecture: The fields of `saliency.model.Architecture`.
        preprocessing: Preprocessing of the network's input.
        card: Origin of the checkpoint.
    """

    architecture: Mapping[str, Any]
    preprocessing: Preprocessing
    card: Card


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to run, its preprocessing, and its origin."""

    network: SaliencyNetwork
    preprocessing: Preprocessing
    card: Card


def find_weights(given: str | os.PathLike[str] | None) -> Path:
    """Return the path of a checkpoint: a file, a name in `RELEASES`, or None for the default.

    Raises:
        CheckpointError: Released weights are not where they are installed.
    """
    if given is None:
        return released_weights()
    return released_weights(str(given)) if str(given) in RELEASES else Path(given)


def released_weights(name: str = "default") -> Path:
    """Return a released checkpoint, in an installed wheel or in a checkout.

    Args:
        name: A key of `RELEASES`.

    Raises:
        CheckpointError: It is in neither place.
    """
    file = RELEASES[name]
    places = (PACKAGE / "weights" / file, PACKAGE.parent / "weights" / file)
    for path in places:
        if path.is_file():
            return path
    raise CheckpointError(
        f"The released weights should be at {places[0]} or {places[1]}. Found neither; "
        "reinstall the package, or name a checkpoint."
    )


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, weights as float16, atomically."""
    from safetensors.torch import save

    from saliency.model.low_rank import merged_state

    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "architecture": json.dumps(asdict(checkpoint.network.architecture)),
        "preprocessing": json.dumps(asdict(checkpoint.preprocessing)),
        "card": json.dumps(asdict(checkpoint.card)),
    }
    tensors = {
        name: _to_half(tensor.detach().cpu())
        for name, tensor in merged_state(checkpoint.network).items()
    }
    write_atomically(path, save(tensors, metadata))


def read_header(path: Path) -> Header:
    """Read the header of the checkpoint `path`, without its weights.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind.
    """
    with _open(path, "np") as file, _refuse_mismatch(path):
        metadata = file.metadata()
        return Header(
            _tuples(json.loads(metadata["architecture"])),
            Preprocessing(**_tuples(json.loads(metadata["preprocessing"]))),
            Card(**_tuples(json.loads(metadata["card"]))),
        )


def count_parameters(path: Path) -> int:
    """Return the number of parameters of the checkpoint `path`, without reading them.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind.
    """
    with _open(path, "np") as file:
        return sum(
            math.prod(file.get_slice(name).get_shape())
            for name in file.keys()  # noqa: SIM118
            if name.rpartition(".")[2] not in BUFFERS
        )


def load_checkpoint(path: Path) -> Checkpoint:
    """Rebuild the network of `path` on the CPU, in evaluation mode, float32.

    Raises:
        CheckpointError: The file is missing, truncated, of another kind, or does not fit; or
            PyTorch is not installed.
    """
    header = read_header(path)
    with require_extra(f"Building the network of {path}", "torch", CheckpointError):
        from saliency.model import Architecture, SaliencyNetwork
    with _open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with _refuse_mismatch(path):
        network = SaliencyNetwork(Architecture.from_fields(header.architecture))
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
        )
    return Checkpoint(network.eval(), header.preprocessing, header.card)


@contextmanager
def _open(path: Path, framework: str) -> Iterator[Any]:
    """Open a checkpoint of this project and version."""
    if not path.is_file():
        raise CheckpointError(f"The checkpoint should be a file. Found no {path}.")
    try:
        with safe_open(path, framework=framework) as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(
                    f"{path} should be a checkpoint of {FORMAT}. Found another safetensors file."
                )
            if metadata.get("format_version") != str(FORMAT_VERSION):
                raise CheckpointError(
                    f"{path} should have format version {FORMAT_VERSION}. Found "
                    f"{metadata.get('format_version')}; another version of this package wrote it."
                )
            yield file
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} should be a whole safetensors file. Found a damaged or foreign one: {error}."
        ) from error


@contextmanager
def _refuse_mismatch(path: Path) -> Iterator[None]:
    """Turn all errors of unexpected content into one."""
    try:
        yield
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        SaliencyError,
    ) as error:
        reason = textwrap.shorten(str(error), 300)  # torch lists every tensor on its own line
        raise CheckpointError(
            f"{path} should describe and fill its own network. Found a mismatch: {reason}"
        ) from error


def to_sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identify(weights: Path) -> str:
    """Return the SHA-256 of a checkpoint, which is read again only when it has changed."""
    status = weights.stat()
    return _identify(weights, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _identify(weights: Path, *status: int) -> str:
    return to_sha256(weights)


def _to_half(tensor: torch.Tensor) -> torch.Tensor:
    """Return floats as float16, except where one would overflow."""
    import torch

    if tensor.is_floating_point() and bool((tensor.abs() < torch.finfo(torch.half).max).all()):
        return tensor.half().contiguous()
    return tensor.contiguous()


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with lists turned into tuples, which JSON does not have."""

    def to_tuple(value: Any) -> Any:
        return tuple(map(to_tuple, value)) if isinstance(value, list) else value

    return {name: to_tuple(value) for name, value in values.items()}
