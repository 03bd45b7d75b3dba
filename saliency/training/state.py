"""The state from which a stopped run continues as if it had never stopped: one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from timm.utils import ModelEmaV3
from torch import Tensor

from saliency.errors import CheckpointError
from saliency.files import write_atomically
from saliency.model import SaliencyNetwork
from saliency.model.sharing import SharingOptions
from saliency.training.config import TrainingConfig, rename_options
from saliency.weighting import TaskWeighting, WeightingOptions


@dataclass
class Progress:
    """The progress of a run.

    Attributes:
        epoch: Epochs finished.
        step: Steps taken in all.
        step_in_epoch: Steps taken in the unfinished epoch.
        best_score: Highest validation score so far.
        best_epoch: Epoch that reached it, counted from 1; 0 if none.
        sums: Sum of each logged value over the unfinished epoch's steps, by name.
        counts: Number of those steps that had the value, by name.
        finished: Whether the run has come to its end.
    """

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    best_score: float = float("-inf")
    best_epoch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    finished: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    def end_step(self, values: Mapping[str, float]) -> None:
        """Count a step and add its logged values."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        self.step += 1
        self.step_in_epoch += 1

    def end_epoch(self) -> dict[str, float]:
        """Count an epoch and return the means of its steps' logged values."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.epoch += 1
        self.step_in_epoch = 0
        self.sums, self.counts = {}, {}
        return means


@dataclass
class TrainingState:
    """Everything that changes while training."""

    network: SaliencyNetwork
    ema: ModelEmaV3
    weighting: TaskWeighting
    optimizer: torch.optim.AdamW
    progress: Progress


def save_state(path: Path, state: TrainingState, config: TrainingConfig) -> None:
    """Write `state`: tensors as tensors, scalars and random states as JSON in the metadata.

    One file, so that a kill between two writes cannot leave halves of different steps.
    """
    tensors: dict[str, Tensor] = {}
    for prefix, module in _modules(state).items():
        tensors |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    metadata = {
        "config": config.model_dump_json(),
        "progress": json.dumps(asdict(state.progress)),
        "random": json.dumps(_random_states()),
        "tree": json.dumps(state.network.architecture.sharing.tree),
    }
    # Copies, because the live network and its average may share untrained tensors.
    copies = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_atomically(path, save(copies, metadata))


def is_of_config(path: Path, config: TrainingConfig) -> bool:
    """Return whether `path` was saved with this config; the number of threads may differ.

    Raises:
        CheckpointError: The file is damaged or no training state.
    """
    values = json.loads(_metadata(path)["config"])
    for table, options in (("weighting", config.weighting), ("sharing", config.sharing)):
        values[table] = _own_options(values[table], options)
    try:
        saved = type(config).model_validate(values)
    except ValidationError:  # another version of this package wrote it
        return False
    train = saved.train.model_copy(update={"threads": config.train.threads})
    return saved.model_copy(update={"train": train}) == config


def _own_options(table: dict[str, Any], options: WeightingOptions | SharingOptions) -> Any:
    """Return a saved table with the present names of options.

    Version 0.2 wrote the options of all strategies, `gradnorm_alpha` and others, or of all schemes.
    """
    if not ({"gradnorm_alpha", "dwa_temperature"} <= table.keys() or "branching" in table):
        return table
    name = table["name"]
    if name != options.name:
        return {"name": name}
    own = {each.name for each in fields(options)}
    renamed = rename_options(name, table)
    return {k: value for k, value in renamed.items() if k in own and value is not None}


def load_tree_of(path: Path) -> tuple[tuple[int, ...], ...]:
    """Return how the saved network's stages were split; a network that loads it must be split so.

    Returns:
        For each encoder stage the group of each task; empty where nothing is split.

    Raises:
        CheckpointError: The file is damaged or no training state.
    """
    return tuple(map(tuple, json.loads(_metadata(path).get("tree", "[]"))))


def load_state(path: Path, state: TrainingState) -> None:
    """Fill `state`, freshly built for the same config, from `path`.

    Raises:
        CheckpointError: The file is damaged, no training state, or of another network.
    """
    metadata = _metadata(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        for prefix, module in _modules(state).items():
            start = f"{prefix}."
            module.load_state_dict(
                {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
            )
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                moments.setdefault(int(index), {})[key] = value
        full = state.optimizer.state_dict()
        full["state"] = moments
        state.optimizer.load_state_dict(full)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path} should hold the state of this network. Found a mismatch: {error}."
        ) from error
    progress = json.loads(metadata["progress"])
    # Version 0.1 wrote no counts: every name had a value in every step.
    progress.setdefault("counts", dict.fromkeys(progress["sums"], progress["step_in_epoch"]))
    state.progress = Progress(**progress)
    _set_random_states(json.loads(metadata["random"]))


def _modules(state: TrainingState) -> dict[str, torch.nn.Module]:
    return {"network": state.network, "ema": state.ema.module, "weighting": state.weighting}


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} should be a complete training state. Found a damaged file: {error}."
        ) from error
    if "progress" not in metadata:
        raise CheckpointError(f"{path} should be a training state. Found another safetensors file.")
    return metadata


def _random_states() -> dict[str, str]:
    """Return torch's random states in hexadecimal; data loading has seeds of its own."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return {name: bytes(state.numpy()).hex() for name, state in states.items()}


def _set_random_states(states: dict[str, str]) -> None:
    def to_tensor(text: str) -> Tensor:
        return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)

    torch.set_rng_state(to_tensor(states["cpu"]))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(to_tensor(states["cuda"]))
