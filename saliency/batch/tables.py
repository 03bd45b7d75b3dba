"""Writes the tables that a user opens, from the journal."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from saliency.batch.journal import Entry
from saliency.errors import SaliencyError
from saliency.files import replacing
from saliency.insights import AspectRatio
from saliency.records import Record, list_columns

TableFormat = Literal["jsonl", "csv", "parquet"]

TABLE_STEM = "predictions"
FAILURES_NAME = "failures.jsonl"

ROWS_AT_ONCE = 4096
"""Rows of a Parquet table that are in memory at a time: about ten megabytes."""


def check_format(table_format: TableFormat) -> None:
    """Refuse a format that this installation cannot write, before hours of work.

    Raises:
        SaliencyError: Parquet needs pyarrow, which is not installed.
    """
    if table_format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise SaliencyError(
                "Parquet needs pyarrow, which is not installed; to get it: "
                "pip install 'aesthetic-saliency[parquet]'"
            ) from error


def name_table(table_format: TableFormat) -> str:
    """Return the table's file name."""
    return f"{TABLE_STEM}.{table_format}"


def write_table(
    out_dir: Path,
    table_format: TableFormat,
    entries: Iterable[Entry],
    crops: Sequence[AspectRatio] = (),
) -> None:
    """Write `predictions.<format>` with a row for each photo that has a record.

    The old table stays until the new one is whole. Memory does not grow with the rows.

    Args:
        out_dir: Folder of the results.
        table_format: JSON lines are nested; CSV and Parquet are flat, with the columns that
            `records.list_columns` names for the first record.
        entries: The photos' entries, in the order of the rows.
        crops: Aspect ratios of the crops that were asked for; each has columns.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    records = (entry.record for entry in entries if entry.record is not None)
    with replacing(out_dir / name_table(table_format)) as path:
        if table_format == "jsonl":
            with path.open("w", encoding="utf-8") as lines:
                lines.writelines(json.dumps(record.to_json()) + "\n" for record in records)
        else:
            first = next(records, None)
            columns = list_columns(crops, first)
            rows = map(Record.to_row, records if first is None else chain([first], records))
            (_write_csv if table_format == "csv" else _write_parquet)(path, rows, columns)


def write_failures(out_dir: Path, entries: Iterable[Entry]) -> None:
    """Write `failures.jsonl`, a line `{"image", "error"}` per failure; remove it if there is none.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    failed = [
        json.dumps({"image": entry.image, "error": entry.error}) + "\n"
        for entry in entries
        if entry.error is not None
    ]
    path = out_dir / FAILURES_NAME
    if not failed:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as temporary:
        temporary.write_text("".join(failed), encoding="utf-8")


def _write_csv(path: Path, rows: Iterator[dict[str, object]], columns: dict[str, type]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _write_parquet(path: Path, rows: Iterator[dict[str, object]], columns: dict[str, type]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds: dict[type, Any] = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
