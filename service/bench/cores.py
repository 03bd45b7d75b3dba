"""Who used the cores: the service, the load generator, others, nobody. Linux alone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class CoreSeconds(NamedTuple):
    """Seconds of processor time, summed over the cores.

    Attributes:
        service: Of the process that is measured.
        client: Of this process.
        idle: Of nobody.
        total: Of everybody and nobody: cores x seconds.
    """

    service: float
    client: float
    idle: float
    total: float

    def since(self, earlier: CoreSeconds) -> CoreSeconds:
        """Return what was used since `earlier`."""
        return CoreSeconds(*(now - then for now, then in zip(self, earlier, strict=True)))

    def describe(self, answers: int) -> str:
        """Return for people what each of `answers` cost, and which part the rest had."""
        others = self.total - self.idle - self.service - self.client
        return (
            f"core-ms an answer: service {self.service / answers * 1e3:.1f}, "
            f"load generator {self.client / answers * 1e3:.2f}; of the cores others had "
            f"{max(0.0, others / self.total):.1%} and {self.idle / self.total:.1%} were idle"
        )


def read_core_seconds(pid: int) -> CoreSeconds:
    """Return the seconds so far, those of the service from its process id."""
    of_process = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = of_process[11:13]  # proc(5); the first is field 3, `state`
    of_machine = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    ticks = [int(number) for number in of_machine]
    return CoreSeconds(
        service=(int(user) + int(system)) * TICK_S,
        client=time.process_time(),
        idle=(ticks[3] + ticks[4]) * TICK_S,
        total=sum(ticks) * TICK_S,
    )
