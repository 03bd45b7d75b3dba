"""Print a study's findings as the Markdown tables of docs/results/.

    python data/study_tables.py runs/strategies/results.json [--choose equal]

For a study that tunes options, `--choose ARM` prints instead the mean of CC and SRCC of every arm
relative to that arm's, best first.

    python data/study_tables.py docs/studies/guidance.jsonl.xz --gaps narrower_encoder saliency_only

prints how much one arm's training loss and gap (validation loss minus training loss) exceed
another's in the same repetition, with 95 % intervals of Student's t over repetitions.
"""

import argparse
import json
import lzma
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from scipy import stats

METRICS = ("CC", "NSS", "KLDiv", "SRCC")
DECIDING = ("CC", "SRCC")


def main() -> None:
    """Read the file and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "results",
        type=Path,
        help="results.json of the study's folder; for --gaps its runs.jsonl.xz",
    )
    parser.add_argument("--choose", metavar="ARM", help="rank all arms relative to this one")
    parser.add_argument("--gaps", nargs=2, metavar="ARM", help="compare the gaps of two arms")
    options = parser.parse_args()
    if options.gaps:
        print_gaps(options.results, *options.gaps)
        return
    findings = json.loads(options.results.read_text())
    arms = {arm["name"]: arm for arm in findings["arms"]}
    print(f"{findings['finished']} of {findings['planned']} runs, {findings['commits']}\n")
    if options.choose:
        print_ranking(arms, options.choose)
        return
    print_arms(arms, findings.get("front", []))
    print()
    print_answers(findings["answers"])


def print_ranking(arms: dict[str, Any], other: str) -> None:
    """Print one row per arm, best first."""

    def relative(arm: dict[str, Any]) -> float:
        mine, its = arm["metrics"], arms[other]["metrics"]
        return fmean(mine[metric]["value"] / its[metric]["value"] for metric in DECIDING)

    print_row("arm", *DECIDING, f"relative to {other}")
    print_row("---", "---", "---", "---")
    for arm in sorted(arms.values(), key=relative, reverse=True):
        values = (f"{arm['metrics'][metric]['value']:.4f}" for metric in DECIDING)
        print_row(f"`{arm['name']}`: {arm['about']}", *values, f"{relative(arm):.4f}")


def print_arms(arms: dict[str, Any], front: list[str]) -> None:
    """Print one row per arm; those of the Pareto front in bold."""
    print_row("arm", "n", *METRICS, "loss weights")
    print_row("---", "---", *("---" for _ in METRICS), "---")
    for arm in arms.values():
        name = f"**{arm['about']}**" if arm["name"] in front else arm["about"]
        found = (arm["metrics"].get(metric) for metric in METRICS)
        weights = [
            f"{arm['train'][key]:.2f}"
            for key in ("share/saliency", "share/aesthetics")
            if key in arm["train"]
        ]
        print_row(name, arm["repetitions"], *map(to_text, found), " : ".join(weights))


def print_answers(answers: list[dict[str, Any]]) -> None:
    """Print one row per comparison."""
    print_row("question", "n", *DECIDING, "saliency; scores")
    print_row(*["---"] * 5)
    for answer in answers:
        found = [answer["differences"].get(metric) for metric in DECIDING]
        if not any(found):
            continue
        repetitions = next(one["repetitions"] for one in found if one)
        verdicts = "; ".join(to_verdict(one) for one in found if one)
        print_row(
            answer["question"], repetitions, *(to_text(one, sign="+") for one in found), verdicts
        )


def print_gaps(runs: Path, arm: str, other: str) -> None:
    """Print one row a task that both arms have."""
    found: dict[str, dict[int, dict[str, Any]]] = {arm: {}, other: {}}
    with lzma.open(runs, "rt") as lines:
        for run in map(json.loads, lines):
            if run["arm"] in found:
                found[run["arm"]][run["repetition"]] = run
    shared = sorted(found[arm].keys() & found[other].keys())
    pairs = [(found[arm][number], found[other][number]) for number in shared]
    print_row("task", "n", "training loss", "gap")
    print_row(*["---"] * 4)
    for task in sorted(pairs[0][0]["gap"].keys() & pairs[0][1]["gap"].keys()):
        losses = [one["train"][f"loss/{task}"] - two["train"][f"loss/{task}"] for one, two in pairs]
        gaps = [one["gap"][task] - two["gap"][task] for one, two in pairs]
        estimates = (to_text(to_estimate(values), sign="+") for values in (losses, gaps))
        print_row(f"{task}: {arm} less {other}", len(pairs), *estimates)


def to_estimate(differences: list[float]) -> dict[str, Any]:
    """Return the mean and its interval."""
    mean, error = np.mean(differences), stats.sem(differences)
    interval = stats.t.interval(0.95, len(differences) - 1, mean, error)
    return {"value": float(mean), "interval": [float(end) for end in interval]}


def print_row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |")


def to_text(estimate: dict[str, Any] | None, sign: str = "") -> str:
    """Return a value with its interval, without the zero before the point."""
    if estimate is None:
        return ""
    digits = 4 if sign else 3
    numbers = (f"{n:{sign}.{digits}f}" for n in (estimate["value"], *estimate["interval"]))
    value, low, high = (n.replace("0.", ".", 1) if "0." in n[:3] else n for n in numbers)
    return f"{value} [{low}, {high}]"


def to_verdict(difference: dict[str, Any]) -> str:
    """Return the verdict of an interval in words."""
    low, high = difference["interval"]
    return "better" if low > 0 else "worse" if high < 0 else "no difference found"


if __name__ == "__main__":
    main()
