"""Train and measure the runs of a study, several at a time; finished runs are not repeated."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from saliency.checkpoint import load_checkpoint
from saliency.datasets.sets import build_sets
from saliency.errors import SaliencyError
from saliency.experiments.ablation.measure import RESULT, RunResult, measure
from saliency.experiments.ablation.study import Run, Study
from saliency.locks import hold_folder
from saliency.predictor import Predictor
from saliency.training.config import TrainingConfig
from saliency.training.folder import BEST, LAST, STATE, current_commit
from saliency.training.loop import train
from saliency.training.report import Reporter

LOG, METRICS = "log.txt", "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run: with a result, with an error, or because it was asked to stop."""

    run: Run
    error: str | None = None
    stopped: bool = False


def finished(study: Study, out_dir: Path) -> list[RunResult]:
    """Read the existing results, in the study's order.

    Raises:
        SaliencyError: A result has other values, so that arms could not be compared.
    """
    results = []
    for run in study.runs():
        path = run.folder(out_dir) / RESULT
        if not path.is_file():
            continue
        result = RunResult.load(path)
        if result.identity != study.identity(run):
            raise SaliencyError(
                f"{path} should be a result of this study. Found other values; "
                "name another folder with -o, or remove it."
            )
        results.append(result)
    return results


def bring_in(results: Iterable[RunResult], out_dir: Path) -> None:
    """Copy results from elsewhere into the study's folder; existing ones are kept."""
    for result in results:
        path = Run(result.arm, result.repetition, result.fold).folder(out_dir) / RESULT
        if not path.is_file():
            result.save(path)


def run_study(
    study: Study,
    out_dir: Path,
    data_root: Path | None,
    *,
    jobs: int = 1,
    threads: int = 1,
    device: str = "auto",
    hours: float | None = None,
    arms: Collection[str] = (),
) -> Iterator[Ending]:
    """Train and measure the missing runs.

    A run whose arm needs another's checkpoint waits for it. Ctrl-C stops all runs after their
    current step, and the next call continues there.

    Args:
        study: The study to run.
        out_dir: Folder for each run's folder and result.
        data_root: Folder of the data sets.
        jobs: Number of runs at a time, each in its own process.
        threads: Number of threads of each process.
        device: Where to compute, as for `Predictor.load`.
        hours: Start no run that would likely end later than this; None for no limit, and 0 starts
            none, so that a study can be looked at while another process runs it.
        arms: Names of the arms to run; checkpoints that they need must exist. Empty for all.

    Yields:
        The end of each run that was started, in the order in which they end.

    Raises:
        BusyError: Another process runs a study in `out_dir`.
    """
    if hours == 0:
        return
    begun = time.monotonic()
    waiting = [
        run
        for run in study.runs()
        if (not arms or run.arm in arms) and not (run.folder(out_dir) / RESULT).is_file()
    ]
    durations: list[float] = []
    running: dict[Future[Ending], float] = {}
    stopped = False
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    with (
        hold_folder(out_dir),
        ProcessPoolExecutor(jobs, context, _start_worker, (threads,)) as pool,
    ):
        while True:
            late = hours is not None and (
                time.monotonic() - begun + max(durations, default=0.0) > hours * 3600
            )
            while len(running) < jobs and not stopped and not late:
                ready = next((r for r in waiting if _is_ready(study, r, out_dir)), None)
                if ready is None:
                    break
                waiting.remove(ready)
                future = pool.submit(
                    run_one,
                    ready,
                    study.config(ready, out_dir),
                    study.identity(ready),
                    out_dir,
                    data_root,
                    device,
                )
                running[future] = time.monotonic()
            if not running:
                return
            try:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:  # the terminal also interrupted the runs: they save and end
                stopped = True
                continue
            for future in done:
                durations.append(time.monotonic() - running.pop(future))
                ending = future.result()
                stopped = stopped or ending.stopped
                yield ending


def _is_ready(study: Study, run: Run, out_dir: Path) -> bool:
    return all(
        (Run(name, run.repetition, run.fold).folder(out_dir) / RESULT).is_file()
        for name in study.arm(run.arm).needs()
    )


def _start_worker(threads: int) -> None:
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    # A spawned process would spawn its loader processes too: seconds of imports in each epoch.
    multiprocessing.set_start_method(None, force=True)
    threads = min(threads, torch.get_num_threads())  # OMP_NUM_THREADS may ask for fewer
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _end_with_the_study() -> None:
    """End this process when the study's process has ended, which it would otherwise outlive."""
    study = multiprocessing.parent_process()
    assert study is not None  # noqa: S101
    study.join()
    os._exit(1)


def run_one(
    run: Run,
    config: TrainingConfig,
    identity: dict[str, Any],
    out_dir: Path,
    data_root: Path | None,
    device: str,
) -> Ending:
    """Train and measure one run; an error ends this run alone."""
    folder = run.folder(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with (folder / LOG).open("a", encoding="utf-8") as log:
        try:
            reporter = Reporter(folder, Console(file=log, width=200))
            outcome = train(config, folder, data_root=data_root, device=device, reporter=reporter)
            if outcome.interrupted:
                return Ending(run, stopped=True)
            # The last weights, not the best by validation: no arm may choose.
            checkpoint = load_checkpoint(folder / LAST)
            predictor = Predictor(checkpoint, device)
            sets = measure(predictor, build_sets(config.data, "test", data_root))
        except Exception as error:
            traceback.print_exc(file=log)
            return Ending(run, error=f"{type(error).__name__}: {error}")
    last_epoch = json.loads((folder / METRICS).read_text("utf-8").splitlines()[-1])
    RunResult(
        arm=run.arm,
        repetition=run.repetition,
        fold=run.fold,
        sets=sets,
        train=last_epoch["train"],
        gap=last_epoch["gap"],
        seconds=round(time.monotonic() - begun, 1),
        parameters=sum(p.numel() for p in checkpoint.network.parameters()),
        commit=current_commit(),
        identity=identity,
        flops=count_flops(checkpoint.network, (config.data.height, config.data.width)),
        steps=last_epoch["step"],
        learned=checkpoint.network.sharing.describe(),
    ).save(folder / RESULT)
    for name in (STATE, BEST):  # those of 60 runs would fill a disk
        (folder / name).unlink(missing_ok=True)
    return Ending(run)


def count_flops(network: torch.nn.Module, size: tuple[int, int]) -> int:
    """Return the floating-point operations of convolutions and matrix products for one photo.

    Args:
        network: The network in evaluation mode, on the CPU.
        size: (height, width) of its input.

    Returns:
        Two for each multiplication with its addition.
    """
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(torch.zeros(1, 3, *size))
    return int(counter.get_total_flops())
