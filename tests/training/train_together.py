"""What each process of test_distributed.py runs: trainings one after the other.

Usage: torchrun ... train_together.py JOBS.json, a list of {recipe, overrides, run_dir, stop_at}.
"""

import json
import signal
import sys
from pathlib import Path

import torch

from saliency.training.config import load_config
from saliency.training.distributed import join_world
from saliency.training.loop import train
from saliency.training.report import Reporter


class Interrupting(Reporter):
    """Ctrl-C in the first process alone, which alone reports."""

    def __init__(self, run_dir: Path, at: int | None) -> None:
        super().__init__(run_dir)
        self.at = at

    def step(self, step: int, values: dict[str, float]) -> None:
        super().step(step, values)
        if step == self.at:
            signal.raise_signal(signal.SIGINT)


def main() -> None:
    torch.set_num_threads(1)
    # A shell starts background jobs with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with join_world("cpu") as (world, device):
        for job in json.loads(Path(sys.argv[1]).read_text()):
            run_dir = Path(job["run_dir"])
            train(
                load_config(Path(job["recipe"]), job["overrides"]),
                run_dir,
                device=device,
                reporter=Interrupting(run_dir, job["stop_at"]),
                world=world,
            )


if __name__ == "__main__":
    main()
