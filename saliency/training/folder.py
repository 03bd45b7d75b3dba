"""The folder of a run: its checkpoints, and the state from which a stopped run continues."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from saliency.checkpoint import Card, Checkpoint, save_checkpoint
from saliency.errors import ConfigError
from saliency.preprocessing import Preprocessing
from saliency.training.config import TrainingConfig, to_public
from saliency.training.state import TrainingState, is_of_config, save_state

BEST, LAST, STATE = "best.safetensors", "last.safetensors", "state.safetensors"


class RunFolder:
    """The folder that a run is saved in.

    Attributes:
        path: Path of the folder.
        state: File of the state; it exists if the run was saved before.
    """

    def __init__(
        self, path: Path, config: TrainingConfig, preprocessing: Preprocessing, *, writes: bool
    ) -> None:
        """Keep the facts that checkpoints state about the run.

        Args:
            path: Path of the folder.
            config: The run's configuration.
            preprocessing: The network's preprocessing.
            writes: Whether this process is the one that writes.
        """
        self.path = path
        self.state = path / STATE
        self._config = config
        self._preprocessing = preprocessing
        self._writes = writes
        self._commit = current_commit()  # read now: the checkout may change during the run

    def checkpoint(
        self, state: TrainingState, metrics: Mapping[str, Mapping[str, float]] | None = None
    ) -> Checkpoint:
        """Return a checkpoint of the averaged weights, with its description."""
        card = Card(
            data=tuple(s.name for s in self._config.data.sets),
            metrics=metrics or {},
            config=to_public(self._config),
            commit=self._commit,
        )
        return Checkpoint(state.ema.module, self._preprocessing, card)

    def save(self, state: TrainingState) -> None:
        """Write the last checkpoint and the state to continue from."""
        if self._writes:
            save_checkpoint(self.path / LAST, self.checkpoint(state))
            save_state(self.state, state, self._config)

    def save_best(self, state: TrainingState, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Write the best checkpoint, with its metrics."""
        if self._writes:
            save_checkpoint(self.path / BEST, self.checkpoint(state, metrics))


def check_same_config(path: Path, config: TrainingConfig) -> None:
    """Refuse a folder that holds a run of another config.

    Raises:
        CheckpointError: The state in the folder is damaged.
        ConfigError: The run in the folder has another config.
    """
    if (path / STATE).is_file() and not is_of_config(path / STATE, config):
        raise ConfigError(
            f"{path} should be a new folder or a run of this config. Found a run of another; name "
            "another folder with -o, or remove it."
        )


def current_commit() -> str:
    """Return the commit of this code, with `-dirty` for uncommitted changes; empty outside git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
