"""Compute the costs of large jobs: python data/bench/scale.py BENCH.json [--service-share .82].

BENCH.json is a file that `saliency bench --json` wrote; with a file of a GPU the tables are for
that GPU. Prints the tables of docs/guide/scale.md in Markdown. Nothing is measured.
"""

import argparse
import json
from pathlib import Path
from typing import Any

PHOTOS = 1_000_000
REQUESTS_PER_S = 1000
STAGES = ("prepare", "forward", "to_prediction")


def core_ms(bench: dict[str, Any], backend: str, megapixels: float) -> dict[str, float]:
    """Return the core-milliseconds of each stage of one photo."""
    return {
        m["stage"]: m["ms"]
        for m in bench["measurements"]
        if m["stage"] in STAGES
        and m["one_thread"]
        and (m["backend"], m["megapixels"]) == (backend, megapixels)
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bench", type=Path)
    parser.add_argument("--backend", default="onnx")
    parser.add_argument(
        "--share",
        type=float,
        default=0.9,
        help="share of the cores' ceiling that predict_many reaches",
    )
    parser.add_argument(
        "--service-share",
        type=float,
        default=0.82,
        help="share of the ceiling that the service reaches",
    )
    options = parser.parse_args()
    bench = json.loads(options.bench.read_text("utf-8"))
    memory = {(m["backend"], m["megapixels"]): m["ram_bytes"] for m in bench["memory"]}
    rows = []
    for photo in bench["photos"]:
        costs = core_ms(bench, options.backend, photo["megapixels"])
        if len(costs) == len(STAGES):
            rows.append((photo, costs, sum(costs.values()) / 1e3))
    machine = f"{bench['machine']['cpu']} with {options.backend}"
    print(f"One photo on {machine}, in milliseconds of one core:\n")
    print(
        "| photo | file | prepare | forward | to_prediction | memory |\n|---|---|---|---|---|---|"
    )
    for photo, costs, _ in rows:
        ram = memory[options.backend, photo["megapixels"]]
        stages = " | ".join(f"{costs[stage]:.1f}" for stage in STAGES)
        print(
            f"| {photo['megapixels']:g} MP | {photo['bytes'] / 1e3:,.0f} kB | {stages} "
            f"| {ram / 2**20:,.0f} MiB |"
        )
    print(f"\n{PHOTOS:,} photos, at {options.share:.0%} of the speed above:\n")
    print("| photo | core-hours | hours on 2 cores | on 64 | to read | read rate on 64 |")
    print("|---|---|---|---|---|---|")
    for photo, _, seconds in rows:
        hours = PHOTOS * seconds / 3600 / options.share
        size = PHOTOS * photo["bytes"]
        print(
            f"| {photo['megapixels']:g} MP | {hours:,.0f} | {hours / 2:,.1f} | {hours / 64:.2f} "
            f"| {size / 1e12:.2f} TB | {size / 1e6 / (hours / 64 * 3600):,.0f} MB/s |"
        )
    print(f"\n{REQUESTS_PER_S:,} requests a second, at {options.service_share:.0%}:\n")
    print("| photo | cores | pods of 4 cores | in |\n|---|---|---|---|")
    for photo, _, seconds in rows:
        cores = REQUESTS_PER_S * seconds / options.service_share
        gigabits = REQUESTS_PER_S * photo["bytes"] * 8 / 1e9
        size = f"{photo['megapixels']:g} MP"
        print(f"| {size} | {cores:,.0f} | {cores / 4:,.0f} | {gigabits:.1f} Gbit/s |")


if __name__ == "__main__":
    main()
