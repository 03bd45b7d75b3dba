"""The journal of an output folder -> `report.html`, written photo by photo."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from saliency.batch import Entry
from saliency.batch.writing import replacing
from saliency.charts import histogram
from saliency.devices import count_cores
from saliency.pages import page_templates
from saliency.report.previews import to_preview
from saliency.types import SCORES

REPORT_NAME = "report.html"


def write_report(
    out_dir: Path,
    read_entries: Callable[[], Iterable[Entry]],
    settings: Mapping[str, str],
    *,
    workers: int | None = None,
    on_photo: Callable[[], None] | None = None,
) -> Path:
    """Write the page of an output folder, atomically.

    Previews are made from the photos and their overlays and lie inside the page; a click opens the
    overlay's file beside it. Memory does not grow with the photos' pixels, only by their numbers.

    Args:
        out_dir: Output folder of `saliency predict`.
        read_entries: Gives the photos, in the order of the table; called twice.
        settings: Name -> value of how the results were made, for the page's end.
        workers: Threads that read pictures; None: one a core.
        on_photo: Called after each photo.

    Returns:
        The page's path.

    Raises:
        OSError: The page cannot be written.
    """
    overview = _Overview()
    for entry in read_entries():
        overview.add(entry)
    environment = page_templates("saliency.report")
    page = environment.get_template("report.html").stream(
        title=out_dir.resolve().name,
        overview=overview,
        charts=overview.charts(),
        settings=settings,
        rows=_rows(out_dir, read_entries(), workers or count_cores(), on_photo),
    )
    path = out_dir / REPORT_NAME
    with replacing(path) as partial, partial.open("wb") as file:
        page.dump(file, encoding="utf-8")
    return path


@dataclass
class _Overview:
    """What the page says above the gallery."""

    scores: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    concentrations: list[float] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    photos: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        if entry.record is None:
            self.failures.append((_printable(entry.image), _printable(entry.error or "")))
            return
        self.photos += 1
        record: dict[str, Any] = entry.record
        if record["score"] is not None:
            self.scores.append(record["score"])
        if record["saliency"] is not None:
            self.entropies.append(record["saliency"]["entropy"])
            self.concentrations.append(record["saliency"]["concentration"])
            self.points.append(len(record["saliency"]["focal_points"]))

    def charts(self) -> list[str]:
        drawn = []
        if self.scores:
            low, high = float(SCORES[0]), float(SCORES[-1])
            drawn.append(
                histogram(self.scores, title="Scores", x_label="score", low=low, high=high, bins=36)
            )
        if self.entropies:
            drawn += [
                histogram(
                    self.entropies,
                    title="How spread attention is",
                    x_label="entropy, 1 is even",
                    low=0,
                    high=1,
                ),
                histogram(
                    self.concentrations,
                    title="How gathered attention is",
                    x_label="share in the most attended tenth",
                    low=0,
                    high=1,
                ),
                histogram(
                    self.points,
                    title="Focal points",
                    x_label="points a photo",
                    low=-0.5,
                    high=5.5,
                    bins=6,
                ),
            ]
        return drawn


def _rows(
    out_dir: Path,
    entries: Iterable[Entry],
    workers: int,
    on_photo: Callable[[], None] | None,
) -> Iterator[str]:
    """Yield a JSON object a photo, the pictures read a few ahead."""
    waiting: deque[Future[str]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        separator = ""

        def take() -> str:
            nonlocal separator
            row = separator + waiting.popleft().result()
            separator = ",\n"
            if on_photo:
                on_photo()
            return row

        for entry in entries:
            if entry.record is None:
                continue
            waiting.append(pool.submit(_row, out_dir, entry))
            if len(waiting) > 2 * workers:
                yield take()
        while waiting:
            yield take()


def _row(out_dir: Path, entry: Entry) -> str:
    record: dict[str, Any] = entry.record or {}
    saliency = record["saliency"] or {}
    overlay = record.get("overlay")
    values = {
        "image": _printable(entry.image),
        "score": record["score"],
        "std": record["score_std"],
        "size": record["image_size"],
        "entropy": saliency.get("entropy"),
        "concentration": saliency.get("concentration"),
        "points": len(saliency.get("focal_points", ())),
        "crops": [quote(os.fsencode(crop["file"])) for crop in record.get("crops", ())],
        "overlay": overlay and quote(os.fsencode(overlay)),
        "map": record.get("map") and quote(os.fsencode(record["map"])),
        "photo": to_preview(Path(entry.real_path)),
        "glow": to_preview(out_dir / overlay) if overlay else None,
    }
    # Inside <script> a "<" could begin its end.
    return json.dumps(values).replace("<", "\\u003c")


def _printable(text: str) -> str:
    """Return `text` with what is no UTF-8 in a file name written as an escape."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
