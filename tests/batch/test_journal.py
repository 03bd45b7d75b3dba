import dataclasses

import pytest

from saliency import SaliencyError
from saliency.batch import Entry, Journal, read_entries, to_fingerprint
from saliency.batch.journal import JOURNAL_NAME


def entry(name="a", **fields):
    values = {"image": f"{name}.jpg", "real_path": f"/{name}.jpg", "sha256": "1", "made_by": "me"}
    return Entry(name, **{**values, "record": {"image": f"{name}.jpg", "score": 5.5}, **fields})


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
    record = {"image": "a.jpg", "overlay": "a.png", "map": "m.png", "crops": [{"file": "c.png"}]}
    files = [tmp_path / name for name in ("a.png", "m.png", "c.png")]
    for file in files:
        file.touch()
    with Journal(tmp_path, "me") as journal:
        journal.append(entry(record=record))
        assert journal.find_done("a", "1") == entry(record=record)
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


def test_a_folder_without_a_journal_is_an_error(tmp_path):
    with pytest.raises(SaliencyError, match="saliency predict"):
        list(read_entries(tmp_path))


def test_a_fingerprint_tells_options_apart_and_nothing_else():
    assert to_fingerprint(a=1, b=2) == to_fingerprint(b=2, a=1) != to_fingerprint(a=1, b=3)
