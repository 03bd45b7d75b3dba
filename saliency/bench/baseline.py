"""A saved run, and what has become worse since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saliency.bench.results import SCHEMA, Ratio, Results
from saliency.errors import ConfigError

TOLERANCE = 0.15
"""What a ratio may grow by from run to run."""


@dataclass(frozen=True)
class Baseline:
    """What of a saved run is compared.

    Attributes:
        cpu: The processor's name.
        ratios: All, lower is better.
    """

    cpu: str
    ratios: Sequence[Ratio]


@dataclass(frozen=True)
class Change:
    """A ratio then and now."""

    before: Ratio
    now: Ratio

    @property
    def share(self) -> float:
        """How much has been added, 0.15 being 15 %."""
        return self.now.value / self.before.value - 1

    @property
    def is_worse(self) -> bool:
        """Whether more was added than tolerated, and the middle rounds of both do not overlap."""
        return self.share > TOLERANCE and self.now.low > self.before.high


def load_baseline(path: Path) -> Baseline:
    """Read what `saliency bench --json` wrote.

    Raises:
        ConfigError: It is something else, or of another schema.
        OSError: It cannot be read.
    """
    try:
        saved: Any = json.loads(path.read_bytes())
        if saved["schema"] == SCHEMA:
            return Baseline(saved["machine"]["cpu"], [Ratio(**ratio) for ratio in saved["ratios"]])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} should be what `saliency bench --json` wrote. Found something else."
        ) from error
    raise ConfigError(
        f"{path} should have schema {SCHEMA}. Found {saved['schema']}; measure anew with "
        "`saliency bench --json`."
    )


def find_changes(baseline: Baseline, results: Results) -> list[Change]:
    """Return every ratio that both have, then and now.

    Raises:
        ConfigError: There is none.
    """
    before = {ratio.name: ratio for ratio in baseline.ratios}
    both = [Change(before[now.name], now) for now in results.ratios if now.name in before]
    if not both:
        raise ConfigError(
            "The baseline should share ratios with this run. Found none; measure both with the "
            "same --backend, --photo-size and --batch-size."
        )
    return both
