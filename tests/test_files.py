"""After a write a file is either old or new, and no temporary file is left."""

import os
from pathlib import Path

import pytest

from saliency.files import write_atomically


def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "map.png"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "map.png"
    path.write_bytes(b"old and longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_nothing_else_is_left_in_the_folder(tmp_path):
    write_atomically(tmp_path / "map.png", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_the_longest_name_still_fits(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_others_may_read_it_as_any_new_file(tmp_path):
    write_atomically(tmp_path / "atomic", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path, monkeypatch):
    path = tmp_path / "map.png"
    path.write_bytes(b"old")
    write_bytes = Path.write_bytes

    def fill_the_disk(temporary: Path, data: bytes) -> int:
        write_bytes(temporary, data[:1])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"map.png": b"old"}


def test_a_failed_rename_leaves_no_temporary_file(tmp_path):
    (tmp_path / "folder" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "folder", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
