"""The journal of an output folder -> `report.html`, written photo by photo."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from saliency.batch import Entry
from saliency.batch.report.previews import to_preview
from saliency.charts import histogram
from saliency.devices import count_cores
from saliency.files import replacing
from saliency.pages import page_templates
from saliency.records import Record
from saliency.score_reference import ScoreReference, place_in_words
from saliency.threads import map_ahead
from saliency.types import SCORES

REPORT_NAME = "report.html"


def write_report(
    out_dir: Path,
    read_entries: Callable[[], Iterable[Entry]],
    settings: Mapping[str, str],
    reference: ScoreReference | None = None,
) -> Path:
    """Write the page of an output folder; as `stream_report`, and return the page's path."""
    for _ in stream_report(out_dir, read_entries, settings, reference):
        pass
    return out_dir / REPORT_NAME


def stream_report(
    out_dir: Path,
    read_entries: Callable[[], Iterable[Entry]],
    settings: Mapping[str, str],
    reference: ScoreReference | None = None,
) -> Iterator[int]:
    """Write `report.html` into an output folder, atomically, photo by photo.

    Previews are made from the photos and their overlays and lie inside the page; a click opens the
    overlay's file beside it. Memory does not grow with the photos' pixels, only by their numbers.

    Args:
        out_dir: Output folder of `saliency predict`.
        read_entries: Gives the photos, in the order of the table; called twice.
        settings: Name -> value of how the results were made, for the page's end.
        reference: Scores of everyday photos, among which each photo gets a place; None: no places.

    Yields:
        How many photos are in it, after each.

    Raises:
        OSError: The page cannot be written.
    """
    overview = _Overview()
    for entry in read_entries():
        overview.add(entry)
    done = 0

    def count(rows: Iterator[str]) -> Iterator[str]:
        nonlocal done
        for row in rows:
            yield row
            done += 1

    pieces = (
        page_templates("saliency.batch.report")
        .get_template("report.html")
        .generate(
            title=out_dir.resolve().name,
            overview=overview,
            charts=overview.charts(),
            settings=settings,
            rows=count(_rows(out_dir, read_entries(), reference)),
        )
    )
    said = 0
    with replacing(out_dir / REPORT_NAME) as path, path.open("w", encoding="utf-8") as file:
        for piece in pieces:
            file.write(piece)
            if done > said:
                said = done
                yield done


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
        score, saliency = entry.record.score, entry.record.saliency
        if score is not None and entry.record.has_content:
            self.scores.append(score)
        if saliency is not None:
            self.entropies.append(saliency.entropy)
            self.concentrations.append(saliency.concentration)
            self.points.append(len(saliency.focal_points))

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
                    x_label="entropy: 0 in one place, 1 even",
                    low=0,
                    high=1,
                ),
                histogram(
                    self.concentrations,
                    title="How gathered attention is",
                    x_label="share in the busiest tenth",
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
    out_dir: Path, entries: Iterable[Entry], reference: ScoreReference | None
) -> Iterator[str]:
    """Yield a JSON object a photo, the pictures read a few ahead."""
    photos = ((entry, entry.record) for entry in entries if entry.record is not None)
    separator = ""
    for row in map_ahead(lambda photo: _row(out_dir, *photo, reference), photos, count_cores()):
        yield separator + row
        separator = ",\n"


def _row(out_dir: Path, entry: Entry, record: Record, reference: ScoreReference | None) -> str:
    saliency, quality = record.saliency, record.quality
    place = None
    if reference and record.score is not None and record.has_content:
        place = place_in_words(reference.to_place(record.score))
    values = {
        "image": _printable(entry.image),
        "score": record.score if record.has_content else None,
        "std": record.score_std if record.has_content else None,
        "place": place,
        "disagreement": record.disagreement,
        "has_content": record.has_content,
        "quality": quality.sentence if quality else None,
        "width": record.width,
        "height": record.height,
        "entropy": saliency.entropy if saliency else None,
        "concentration": saliency.concentration if saliency else None,
        "points": len(saliency.focal_points) if saliency else 0,
        "crops": [_to_link(crop.file) for crop in record.crops if crop.file],
        "overlay": _to_link(record.overlay),
        "map": _to_link(record.map),
        "photo": to_preview(Path(entry.real_path)),
        "glow": to_preview(out_dir / record.overlay) if record.overlay else None,
    }
    # Inside <script> a "<" could begin its end.
    return json.dumps(values).replace("<", "\\u003c")


def _to_link(file: str | None) -> str | None:
    return quote(os.fsencode(file)) if file else None


def _printable(text: str) -> str:
    """Return `text` with what is no UTF-8 in a file name written as an escape."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
