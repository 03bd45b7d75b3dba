import csv
import json
import sys
from dataclasses import replace

import pytest

from saliency import SaliencyError
from saliency.attributes import AttributeEstimate
from saliency.batch import (
    check_format,
    name_table,
    write_failures,
    write_table,
)
from saliency.records import Record, list_columns


@pytest.fixture
def entries(predict, photos, tmp_path):
    """Three photos with records and one without."""
    (photos / "broken.png").touch()
    return [outcome.entry for outcome in predict(photos, tmp_path / "out")]


@pytest.fixture
def records(entries):
    return [entry.record for entry in entries if entry.record is not None]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tables").mkdir()
    return tmp_path / "tables"


def test_json_lines_are_the_records(folder, entries, records):
    write_table(folder, "jsonl", entries)
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    assert [Record.from_json(json.loads(line)) for line in lines] == records


def test_csv_has_every_number_to_the_last_digit(folder, entries, records):
    write_table(folder, "csv", entries)
    with (folder / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(list_columns())
    for cells, record in zip(table, records, strict=True):
        row = record.to_row()
        for name, cell in cells.items():
            value = row.get(name)
            if isinstance(value, bool):
                assert cell == str(value), name
            else:
                assert cell == "" if value is None else type(value)(cell) == value, name


def test_parquet_has_typed_columns_of_the_same_numbers(folder, entries, records):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(folder, "parquet", entries)
    table = parquet.read_table(folder / "predictions.parquet").to_pylist()
    assert list(table[0]) == list(list_columns())
    for cells, record in zip(table, records, strict=True):
        assert {name: cell for name, cell in cells.items() if cell is not None} == record.to_row()


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
def test_what_not_every_network_tells_has_columns(folder, entries, table_format):
    if table_format == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    told = (AttributeEstimate("category", label="Animal", probabilities={"Animal": 1.0}),)
    telling = [
        replace(entry, record=replace(entry.record, attributes=told)) if entry.record else entry
        for entry in entries
    ]
    write_table(folder, table_format, telling)
    path = folder / f"predictions.{table_format}"
    if table_format == "csv":
        with path.open(newline="") as file:
            table = list(csv.DictReader(file))
    else:
        table = parquet.read_table(path).to_pylist()
    assert [row["attribute_category"] for row in table] == ["Animal"] * 3


@pytest.mark.parametrize("table_format", ["jsonl", "csv", "parquet"])
def test_without_photos_there_is_a_table_without_rows(folder, table_format):
    if table_format == "parquet":
        pytest.importorskip("pyarrow")
    write_table(folder, table_format, [])
    assert (folder / name_table(table_format)).is_file()


def test_the_old_table_stays_until_the_new_one_is_whole(folder, entries):
    write_table(folder, "jsonl", entries)
    before = (folder / "predictions.jsonl").read_bytes()

    def break_off():
        yield entries[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(folder, "jsonl", break_off())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "predictions.jsonl": before
    }


def test_failures_are_listed_with_their_reasons(folder, entries):
    write_failures(folder, entries)
    (line,) = (folder / "failures.jsonl").read_text().splitlines()
    failure = json.loads(line)
    assert failure["image"].endswith("broken.png")
    assert "0 bytes" in failure["error"]


def test_a_list_of_failures_goes_when_there_are_none(folder, entries):
    write_failures(folder, entries)
    write_failures(folder, [entry for entry in entries if entry.error is None])
    assert list(folder.iterdir()) == []


def test_parquet_without_its_extra_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SaliencyError, match=r"aesthetic-saliency\[parquet\]"):
        check_format("parquet")
    check_format("csv")
