"""Progress of a run: a bar on a terminal, lines in a log, JSONL, TensorBoard."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from saliency.devices import count_cores
from saliency.training.config import TrainingConfig
from saliency.training.growth import Decision

TENSORBOARD_EVERY = 20  # steps
LINE_EVERY_S = 60.0
"""Seconds between lines in a log, where there is no bar."""

MUCH_WAITING = 0.2
"""Share of the time spent waiting for data from which more loader processes are advised."""


class Reporter:
    """Writes the progress to `metrics.jsonl` and TensorBoard, and shows it on a console."""

    def __init__(self, run_dir: Path, console: Console | None = None) -> None:
        """Set up the outputs.

        Args:
            run_dir: Folder of the run.
            console: Console that shows the progress; None: none is shown.
        """
        self._run_dir = run_dir
        self._console = console or Console(quiet=True)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=console is None or not console.is_terminal,
        )
        self._writer: Any = None
        self._started = time.monotonic()
        self._last_line = 0.0

    def __enter__(self) -> Self:
        # Only here: TensorBoard takes a second to import.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._run_dir / "tensorboard"))
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
        self._writer.close()

    def labelled(self, name: str, done: int, total: int) -> None:
        """Say now and then how many images of a set its teachers have labelled."""
        now = time.monotonic()
        if done == total or now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._console.print(f"{name}: {done} of {total} images labelled by teachers")

    def start(self, config: TrainingConfig, total_steps: int, step: int) -> None:
        """Announce the run."""
        self._task = self._bar.add_task("", total=total_steps, completed=step, text="")
        went_on = f", continuing from step {step}" if step else ""
        self._console.print(
            f"{config.model.encoder}: {config.train.epochs} epochs, {total_steps} steps, "
            f"weighting {config.weighting.name}, threads {torch.get_num_threads()}, "
            f"run in {self._run_dir}{went_on}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        self._first_step = step
        self._total_steps = total_steps
        self._started = self._last_line = time.monotonic()

    def _seconds_per_step(self, step: int) -> float:
        return (time.monotonic() - self._started) / max(1, step - self._first_step)

    def step(self, step: int, values: dict[str, float]) -> None:
        """Show one optimiser step."""
        self._bar.update(self._task, completed=step, text=f"loss {values['loss']:.3f}")
        now = time.monotonic()
        if self._bar.disable and now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._console.print(
                f"step {step}/{self._total_steps}  loss {values['loss']:.3f}  "
                f"{self._seconds_per_step(step):.2f} s/step",
                highlight=False,
            )
        if step % TENSORBOARD_EVERY == 0:
            for name, value in values.items():
                self._writer.add_scalar(f"train/{name}", value, step)

    def speed(
        self, epoch: int, step: int, images_per_s: float, waiting: float, workers: int
    ) -> None:
        """Show and write how fast an epoch's steps were.

        Args:
            epoch: Number of the epoch, counted from 1.
            step: Steps taken in all.
            images_per_s: Images per second, of all processes together.
            waiting: Share of the time in which the network waited for data, 0..1.
            workers: Loader processes; more are advised only if there are fewer than cores.
        """
        self._writer.add_scalar("speed/images_per_s", images_per_s, step)
        self._writer.add_scalar("speed/waiting_for_data", waiting, step)
        helps = waiting > MUCH_WAITING and workers < count_cores()
        advice = f"; raise data.workers (now {workers})" if helps else ""
        self._console.print(
            f"epoch {epoch}  {images_per_s:.1f} images/s, "
            f"{waiting:.0%} of the time waiting for data{advice}",
            style="yellow" if advice else None,
            highlight=False,
            soft_wrap=True,
        )

    def epoch(
        self,
        epoch: int,
        step: int,
        means: dict[str, float],
        metrics: dict[str, dict[str, float]],
        score: float,
        gaps: dict[str, float],
    ) -> None:
        """Show and write one validated epoch; `gaps` are validation minus training losses."""
        for set_name, values in metrics.items():
            for name, value in values.items():
                self._writer.add_scalar(f"val/{set_name}/{name}", value, step)
        self._writer.add_scalar("val/score", score, step)
        for name, value in gaps.items():
            self._writer.add_scalar(f"val/gap/{name}", value, step)
        row = {
            "epoch": epoch,
            "step": step,
            "train": means,
            "val": metrics,
            "score": score,
            "gap": gaps,
        }
        with (self._run_dir / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        shown = "  ".join(
            f"{name} " + " ".join(f"{k} {v:.3f}" for k, v in values.items() if _is_shown(k))
            for name, values in metrics.items()
        )
        losses = " ".join(
            f"{k} {v:.4f}" for k, v in means.items() if k.startswith(("loss", "weight"))
        )
        self._console.print(
            f"epoch {epoch}  score {score:.4f}  {shown}  [{losses}]  "
            f"{self._seconds_per_step(step):.2f} s/step",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def split(self, decision: Decision, step: int) -> None:
        """Show and write which tasks share a stage of the encoder from now on."""
        groups = " | ".join(", ".join(group) for group in decision.groups)
        stage = "final features" if decision.final else f"stride {decision.stride}"
        text = f"{stage}: {groups}"
        self._writer.add_text("sharing", text, step)
        with (self._run_dir / "splits.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(decision)) + "\n")
        agreed = " ".join(f"{name} {value:.3f}" for name, value in decision.affinity.items())
        self._console.print(
            f"epoch {decision.epoch}  sharing at {text}  [{agreed}]",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


class Silence(Reporter):
    """The reporter of processes other than the first: it reports nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        pass

    labelled = start = step = speed = epoch = split = _nothing


_SHOWN = ("CC", "NSS", "KLDiv", "SIM", "SRCC", "PLCC")


def _is_shown(metric: str) -> bool:
    return metric in _SHOWN or metric.endswith((" SRCC", " accuracy"))  # of attributes
