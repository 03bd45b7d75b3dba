"""What each process of test_distributed.py runs: trainings one after the other.

Usage: torchrun ... train_together.py JOBS.json, a list of {recipe, overrides, run_dir, stop_at,
float64}.
"""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

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


@contextmanager
def float64() -> Iterator[None]:
    """Let `train` compute in float64, where sums in another order agree to many digits.

    How float32 rounds is a property of the processor, and training magnifies it.
    """

    def widen(_module: nn.Module, inputs: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(
            x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs
        )

    to_float32 = Tensor.float
    hook = register_module_forward_pre_hook(widen)
    torch.set_default_dtype(torch.float64)
    Tensor.float = Tensor.double  # type: ignore[method-assign]  # says: no less than float32
    try:
        yield
    finally:
        Tensor.float = to_float32  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)
        hook.remove()


def main() -> None:
    torch.set_num_threads(1)
    # A shell starts background jobs with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with join_world("cpu") as (world, device):
        for job in json.loads(Path(sys.argv[1]).read_text()):
            run_dir = Path(job["run_dir"])
            with float64() if job["float64"] else nullcontext():
                train(
                    load_config(Path(job["recipe"]), job["overrides"]),
                    run_dir,
                    device=device,
                    reporter=Interrupting(run_dir, job["stop_at"]),
                    world=world,
                )


if __name__ == "__main__":
    main()
