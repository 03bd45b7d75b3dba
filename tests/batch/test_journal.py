import dataclasses
import json

import pytest

from saliency import SaliencyError
from saliency.batch import Entry, Journal, read_entries, to_fingerprint
from saliency.batch.journal import JOURNAL_NAME, list_pictures
from saliency.insights import Box
from saliency.records import CropRecord, Record


def record(image="a.jpg", **fields):
    return Record(image, 90, 60, 5.5, 2.5, None, None, None, **fields)


def entry(name="a", **fields):
    values = {"image": f"{name}.jpg", "real_path": f"/{name}.jpg", "sha256": "1", "made_by": "me"}
    return Entry(name, **{**values, "record": record(f"{name}.jpg"), **fields})


def test_an_entry_is_there_for_the_next_run(tmp_path):
    with Journal(tmp_path, "me") as journal:
        journal.append(entry())
    with Journal(tmp_path, "me") as journal:
        assert journal.find("a") == entry()


def test_an_entry_is_on_disk_before_the_journal_is_closed(tmp_path):
    with Journal(tmp_path, "me") as journal:
        journal.append(entry())
        assert list(read_entries(tmp_path)) == [entry()]


def test_the_last_word_counts(tmp_path):
    with Journal(tmp_path, "me") as journal:
        for one in (entry(), entry("b"), entry(record=None, error="broken")):
            journal.append(one)
    assert list(read_entries(tmp_path)) == [entry(record=None, error="broken"), entry("b")]


def test_what_was_said_is_not_repeated(tmp_path):
    with Journal(tmp_path, "me") as journal:
        journal.append(entry(record=None, error="broken"))
        journal.append(entry(record=None, error="broken"))
    assert (tmp_path / JOURNAL_NAME).read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_that_was_cut_off_is_dropped_and_the_next_is_whole(tmp_path, kept):
    with Journal(tmp_path, "me") as journal:
        journal.append(entry())
        journal.append(entry("b"))
    path = tmp_path / JOURNAL_NAME
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    with Journal(tmp_path, "me") as journal:
        assert journal.find("b") is None
        journal.append(entry("c"))
    assert list(read_entries(tmp_path)) == [entry(), entry("c")]


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b"{}\n"])
def test_a_damaged_line_is_an_error_that_says_what_to_do(tmp_path, line):
    (tmp_path / JOURNAL_NAME).write_bytes(line)
    with pytest.raises(SaliencyError, match="--no-resume"):
        Journal(tmp_path, "me")


def test_without_resuming_the_journal_is_empty_even_where_it_was_damaged(tmp_path):
    (tmp_path / JOURNAL_NAME).write_bytes(b"no json\n")
    with Journal(tmp_path, "me", resume=False) as journal:
        assert list(journal.entries()) == []


def test_a_full_disk_leaves_whole_lines(tmp_path, files_of_at_most):
    with Journal(tmp_path, "me") as journal:
        journal.append(entry())
        size = (tmp_path / JOURNAL_NAME).stat().st_size
        with files_of_at_most(size + 10), pytest.raises(OSError, match="too large"):
            journal.append(entry("b"))
        assert journal.find("b") is None
        journal.append(entry("c"))
    assert list(read_entries(tmp_path)) == [entry(), entry("c")]


def test_done_is_what_has_this_content_these_options_and_its_pictures(tmp_path):
    crop = CropRecord("1:1", Box(0, 0, 1, 1), 0.5, 0.0, None, 1, "c.png")
    shown = record(overlay="a.png", map="m.png", crops=(crop,))
    files = [tmp_path / name for name in ("a.png", "m.png", "c.png")]
    for file in files:
        file.touch()
    with Journal(tmp_path, "me") as journal:
        journal.append(entry(record=shown))
        assert journal.find_done("a", "1") == entry(record=shown)
        assert journal.find_done("a", "2") is None
        assert journal.find_done("b", "1") is None
        for file in files:
            file.rename(tmp_path / "elsewhere")
            assert journal.find_done("a", "1") is None
            (tmp_path / "elsewhere").rename(file)
    with Journal(tmp_path, "others") as journal:
        assert journal.find_done("a", "1") is None


def test_a_failure_is_never_done(tmp_path):
    with Journal(tmp_path, "me") as journal:
        journal.append(entry(record=None, error="broken"))
        assert journal.find_done("a", "1") is None


def test_entries_are_of_equal_runs_in_the_order_asked(tmp_path):
    with Journal(tmp_path, "me") as journal:
        for one in (entry("a"), entry("b"), entry("c", made_by="others")):
            journal.append(one)
        assert [one.name for one in journal.entries()] == ["a", "b"]
        assert [one.name for one in journal.entries(["b", "absent", "c", "a"])] == ["b", "a"]
        assert journal.owners() == {"a": "/a.jpg", "b": "/b.jpg", "c": "/c.jpg"}


def test_a_name_that_is_no_utf8_comes_back(tmp_path):
    odd = dataclasses.replace(entry(), image="caf\udce9.jpg")
    with Journal(tmp_path, "me") as journal:
        journal.append(odd)
        assert journal.find("a") == odd


@pytest.fixture
def old_journal(tmp_path):
    """Return the folder of a run by a version whose records had another form."""
    old = {"image": "a.jpg", "score": 5.5, "overlay": "a.png", "crops": [{"file": "c.png"}]}
    line = json.loads(entry().to_line()) | {"record": old}
    (tmp_path / JOURNAL_NAME).write_text(json.dumps(line) + "\n")
    return tmp_path


def test_a_record_of_another_version_is_none_and_says_so(old_journal):
    [old] = read_entries(old_journal)
    assert old.record is None
    assert "another version" in old.error
    with Journal(old_journal, "me") as journal:
        assert journal.find_done("a", "1") is None
        assert journal.owners() == {"a": "/a.jpg"}


def test_the_pictures_of_another_version_are_known(old_journal):
    assert list(list_pictures(old_journal)) == ["a.png", "c.png"]


def test_a_folder_may_be_named_by_a_text(tmp_path):
    with Journal(tmp_path, "me") as journal:
        journal.append(entry())
    assert list(read_entries(str(tmp_path))) == [entry()]


def test_a_folder_without_a_journal_is_an_error(tmp_path):
    with pytest.raises(SaliencyError, match="saliency predict"):
        list(read_entries(tmp_path))


def test_a_fingerprint_tells_options_apart_and_nothing_else():
    assert to_fingerprint(a=1, b=2) == to_fingerprint(b=2, a=1) != to_fingerprint(a=1, b=3)
