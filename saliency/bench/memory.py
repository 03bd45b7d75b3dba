"""The most memory that predicting takes, in a process of its own: a peak never falls.

python -m saliency.bench.memory    # reads a `Task` from stdin, prints `Peak`s, all as JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from saliency.backends import BackendName
from saliency.predictor import Predictor

PHOTOS = 8


@dataclass(frozen=True)
class Task:
    """What the process does.

    Attributes:
        weights: Checkpoints, all loaded at once; each predicts every photo.
        backend: What computes.
        device: Where.
        threads: As for `Predictor.load`.
        photos: JPEG files, the smallest first.
    """

    weights: Sequence[str]
    backend: BackendName
    device: str
    threads: int | None
    photos: Sequence[str]


@dataclass(frozen=True)
class Peak:
    """The most memory so far, in bytes; None where nobody says.

    Attributes:
        ram: Of the process.
        gpu: Of PyTorch on the GPU.
    """

    ram: int | None
    gpu: int | None


def measure_peaks(task: Task) -> list[Peak]:
    """Return the peak after each photo was predicted eight times.

    Where the process fails, its own words are on stderr and all peaks are unknown: it may have been
    killed because there was too little memory.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "saliency.bench.memory"],
        input=json.dumps(asdict(task)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        return [Peak(None, None) for _ in task.photos]
    return [Peak(**peak) for peak in json.loads(ended.stdout)]


def _run(task: Task) -> list[Peak]:
    predictors = [
        Predictor.load(weights, task.device, "auto", task.backend, task.threads)
        for weights in task.weights
    ]
    peaks = []
    for photo in task.photos:
        for predictor in predictors:
            deque(predictor.predict_many([photo] * PHOTOS), maxlen=0)
        peaks.append(Peak(_ram_peak(), _gpu_peak(predictors[0])))
    return peaks


def _ram_peak() -> int | None:
    # Not `getrusage`: on Linux a process that a larger one started inherits the larger one's.
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.is_file() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def _gpu_peak(predictor: Predictor) -> int | None:
    if predictor.device.type != "cuda":
        return None
    import torch  # not on a CPU, where it may be what is not measured

    return torch.cuda.max_memory_allocated(predictor.device.index)


if __name__ == "__main__":
    print(json.dumps([asdict(peak) for peak in _run(Task(**json.load(sys.stdin)))]))
