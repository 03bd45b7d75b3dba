"""`saliency experiment gradnorm-toy`: weighting strategies on the GradNorm paper's toy problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from saliency.cli.console import progress_bar, stdout
from saliency.cli.extras import training_extra
from saliency.files import write_atomically

if TYPE_CHECKING:
    from saliency.experiments.gradnorm_toy import Study


def gradnorm_toy(
    out_dir: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for results.json and report.html.")
    ],
    seeds: Annotated[
        int, typer.Option(min=1, help="Runs of each strategy, each with its own seed.")
    ] = 3,
    law: Annotated[
        Literal["unit", "deviations", "variances"],
        typer.Option(
            help="Of the argument of tanh: unit variance, or N(0, 10) to the letter, "
            "which makes tanh a sign."
        ),
    ] = "unit",
    quick: Annotated[
        bool, typer.Option("--quick", help="Use one seed and few steps, to try it out.")
    ] = False,
) -> None:
    """Compare all task weightings on the toy problem of the GradNorm paper.

    Two and ten regression tasks that differ in scale, a small shared network, every strategy of
    `weighting.name`, 100 random static weightings and a sweep of GradNorm's alpha. No data is
    needed; it takes ten to fifteen minutes on one core.

    **Example:** `saliency experiment gradnorm-toy -o runs/toy`
    """
    with training_extra("experiment"):
        from saliency.experiments.gradnorm_page import to_json, write_page
        from saliency.experiments.gradnorm_toy import Plan, run_study

    plan = Plan.of(law=law, seeds=seeds, quick=quick)
    with progress_bar() as bar:
        task = bar.add_task("epochs", total=plan.epochs)
        study = run_study(plan, on_epoch=lambda: bar.advance(task))
    results, report = out_dir / "results.json", out_dir / "report.html"
    write_atomically(results, json.dumps(to_json(study)).encode())
    write_page(study, report)
    _show(study)
    stdout.print(f"{results}\n{report}", highlight=False, markup=False, soft_wrap=True)


def _show(study: Study) -> None:
    """Print final scores, the sweep of alpha, and whether the paper's findings were seen."""
    from saliency.experiments.gradnorm_page import judge, to_sentences
    from saliency.experiments.gradnorm_toy import STRATEGIES

    counts = [len(result.setup.sigmas) for result in study.results]
    table = Table(
        "strategy",
        *(f"{count} tasks" for count in counts),
        caption="sum of L(t) / L(0) at the end: mean over seeds (lowest to highest)",
    )
    for name in STRATEGIES:
        cells = []
        for result in study.results:
            final = result.final(name)
            cells.append(f"{final.mean():.3f} ({final.min():.3f} to {final.max():.3f})")
        table.add_row(name, *cells)
    stdout.print(table)
    for count, result in zip(counts, study.results, strict=True):
        for expectation in judge(result):
            stdout.print(
                f"{count} tasks: {expectation.claim}\n  {expectation.verdict}: {expectation.found}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    for sentence in to_sentences(study):
        stdout.print(sentence, highlight=False, markup=False, soft_wrap=True)
