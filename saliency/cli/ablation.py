"""`saliency experiment ablation STUDY.toml`: trains variants of a recipe and compares them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from saliency.cli.console import progress_bar, stderr, stdout
from saliency.cli.extras import training_extra
from saliency.cli.options import DataRoot, Device

if TYPE_CHECKING:
    from saliency.experiments.ablation.findings import Findings

PARTIAL = 130
"""Exit code after Ctrl-C, by the convention of shells."""


def ablation(
    study_path: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY.toml",
            help="A study with its arms (variants of a recipe), such as those in "
            "data/recipes/studies.",
        ),
    ],
    out_dir: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for runs and report; an interrupted study continues."
        ),
    ],
    data_root: DataRoot = None,
    device: Device = "auto",
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs at a time; they share the processor's cores.")
    ] = 1,
    arms: Annotated[
        list[str] | None, typer.Option("--arm", help="Run only this arm; may be repeated.")
    ] = None,
    results_path: Annotated[
        Path | None,
        typer.Option(
            "--results",
            help="Results of an earlier study (runs.jsonl.xz); its runs are not run again.",
        ),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, help="Start no run that would end after so many hours.")
    ] = None,
) -> None:
    """Train every arm of a study with several seeds and compare them.

    Each repetition has its own seed and leaves out one fold of every set; all arms of a
    repetition see the same images in the same order, and their last weights are measured on the
    fold that was left out. Differences come with 95 % intervals over repetitions and images.

    Each repetition runs all arms before the next begins, so that an interrupted study compares all
    arms already, with fewer repetitions. Run the same command again to continue. If all runs are
    done, it only writes report.html, results.json and runs.jsonl.xz again.

    **Examples:**

    `saliency experiment ablation data/recipes/studies/guidance.toml --data DATA -o runs/guidance`

    `... --jobs 2 --hours 3`
    """
    with training_extra("experiment"):
        from saliency.datasets.config import find_data_root
        from saliency.experiments.ablation.findings import find
        from saliency.experiments.ablation.measure import PACKED, pack, unpack
        from saliency.experiments.ablation.page import write_page
        from saliency.experiments.ablation.running import bring_in, finished, run_study
        from saliency.experiments.ablation.study import Study

    study = Study.load(study_path)
    for name in arms or ():
        study.arm(name)  # an unknown name fails now, not after hours
    if results_path is not None:
        bring_in(unpack(results_path), out_dir)
    first = next(study.runs())
    root = find_data_root(study.config(first, out_dir).data, data_root)
    done, total = len(finished(study, out_dir)), len(list(study.runs()))
    stderr.print(f"{done} of {total} runs are done", highlight=False)
    failed = stopped = False
    with progress_bar() as bar:
        task = bar.add_task("runs", total=total, completed=done)
        endings = run_study(
            study,
            out_dir,
            root,
            jobs=jobs,
            threads=max(1, (os.cpu_count() or 1) // jobs),
            device=device,
            hours=hours,
            arms=arms or (),
        )
        for ending in endings:
            name = f"{ending.run.arm} {ending.run.repetition}"
            stopped, failed = stopped or ending.stopped, failed or ending.error is not None
            if ending.error is not None:
                stderr.print(f"{name} failed: {ending.error}", markup=False, highlight=False)
            elif not ending.stopped:
                bar.advance(task)
                if bar.disable:
                    done += 1
                    stderr.print(f"{name} done, {done} of {total}", highlight=False)
    results = finished(study, out_dir)
    if results:
        findings = find(study, results)
        findings.save(out_dir / "results.json")
        pack(results, out_dir / PACKED)
        write_page(findings, out_dir / "report.html")
        _show(findings)
        stdout.print(f"{out_dir / 'report.html'}", highlight=False, soft_wrap=True)
    if stopped:
        stderr.print("stopped; run the same command again to continue", highlight=False)
        raise typer.Exit(PARTIAL)
    if failed:
        raise typer.Exit(1)


def _show(findings: Findings) -> None:
    """Print the arms and the answers."""
    table = Table("arm", "n", "CC", "NSS", "SRCC")
    for arm in findings.arms:
        table.add_row(
            arm.name,
            str(arm.repetitions),
            *(
                f"{arm.metrics[m].value:.3f} [{arm.metrics[m].interval.low:.3f}, "
                f"{arm.metrics[m].interval.high:.3f}]"
                if m in arm.metrics
                else "-"
                for m in ("CC", "NSS", "SRCC")
            ),
        )
    stdout.print(table)
    if any(arm.gflop for arm in findings.arms):
        costs = Table("arm", "M parameters", "GFLOP", "training")
        for arm in findings.arms:
            costs.add_row(
                arm.name,
                f"{arm.parameters / 1e6:.2f}",
                f"{arm.gflop:.2f}" if arm.gflop else "-",
                f"{arm.training:.2f}" if arm.training else "-",
            )
        stdout.print(costs)
    if findings.front:
        stdout.print(f"no arm beats these in both tasks: {', '.join(findings.front)}")
    for answer in findings.answers:
        stdout.print(f"{answer.question}  [bold]{answer.arm}[/] against {answer.against}")
        stdout.print(f"  {answer.in_words()}", highlight=False, markup=False, soft_wrap=True)
