"""Peak memory of predicting, measured in a process of its own, because a peak never falls.

python -m saliency.bench.memory WEIGHTS BACKEND DEVICE THREADS PHOTO...    # prints a JSON list
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from saliency.backends import BackendName
from saliency.predictor import Predictor

PHOTOS = 8


def measure_peaks(
    weights: Path, backend: str, device: str, threads: int | None, photos: Sequence[Path]
) -> list[dict[str, int | None]]:
    """Return `ram_bytes` and `gpu_bytes` after each photo was predicted eight times.

    None where it is unknown. If the process fails, its messages are on stderr and all peaks are
    None: it may have been killed for lack of memory.

    Args:
        weights: A checkpoint.
        backend: Name of the backend.
        device: Where to compute.
        threads: Number of threads, as for `Predictor.load`.
        photos: Paths of the photos, the smallest first.
    """
    words = [weights, backend, device, threads or 0, *photos]
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "saliency.bench.memory", *map(str, words)],
        stdout=subprocess.PIPE,
        check=False,
    )
    if ended.returncode:
        return [{"ram_bytes": None, "gpu_bytes": None} for _ in photos]
    peaks: list[dict[str, int | None]] = json.loads(ended.stdout)
    return peaks


def _run(weights: str, backend: str, device: str, threads: str, *photos: str) -> list[Any]:
    name = cast(BackendName, backend)
    predictor = Predictor.load(weights, device, "auto", name, int(threads) or None)
    peaks = []
    for photo in photos:
        deque(predictor.predict_many([photo] * PHOTOS), maxlen=0)
        peaks.append({"ram_bytes": _ram_peak(), "gpu_bytes": _gpu_peak(predictor)})
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
    import torch  # not on a CPU, where PyTorch's own memory would be measured

    return torch.cuda.max_memory_allocated(predictor.device.index)


if __name__ == "__main__":
    print(json.dumps(_run(*sys.argv[1:])))
