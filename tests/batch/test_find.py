import io
import json
import os
import sys

import pytest
from PIL import Image

from saliency import SaliencyError
from saliency.batch import Entry, Journal, PassedOver, find_files
from saliency.batch.find import check_sources
from saliency.batch.journal import JOURNAL_NAME
from saliency.batch.marks import mark
from saliency.images import IMAGE_SUFFIXES


def places(*sources, **options):
    return [found.place for found in find_files([str(source) for source in sources], **options)]


@pytest.fixture
def listed(monkeypatch):
    """Return a function that lists what bytes on standard input name."""

    def read(data: bytes):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return list(find_files(["-"]))

    return read


def test_a_folder_is_searched_at_any_depth_for_visible_photos(photos):
    assert places(photos) == ["a.JPG", "b.png", "trip/c.jpg"]


def test_hidden_folders_are_left_out(photos):
    (photos / ".thumbnails").mkdir()
    (photos / "b.png").rename(photos / ".thumbnails" / "b.png")
    assert places(photos) == places(photos / "**" / "*") == ["a.JPG", "trip/c.jpg"]


def test_a_file_is_taken_whatever_it_is_called(photos):
    # Who names a file means it; reading it will tell.
    assert places(photos / "notes.txt") == ["notes.txt"]


def test_a_glob_finds_photos_alone(photos):
    assert places(photos / "*") == ["a.JPG", "b.png"]


def test_a_recursive_glob_keeps_the_layout_below_its_fixed_part(photos):
    assert places(photos / "**" / "*.jpg") == ["trip/c.jpg"]


def test_a_relative_glob_starts_here(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert list(find_files(["t*/*.jpg"])) == [("trip/c.jpg", "trip/c.jpg")]


def test_a_name_that_looks_like_a_glob_is_a_file_first(tmp_path):
    for name in ("[1].png", "1.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert places(tmp_path / "[1].png") == ["[1].png"]


@pytest.mark.parametrize("source", ["absent.jpg", "absent/*.jpg", "empty", "text/*", "a**b/*.png"])
def test_a_source_that_names_nothing_is_an_error_that_names_it(tmp_path, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("no photo")
    with pytest.raises(SaliencyError, match=source.replace("*", r"\*")):
        places(tmp_path / source)


def test_a_folder_may_be_empty_where_more_will_come(tmp_path):
    assert places(tmp_path, required=False) == []


@pytest.mark.parametrize("pattern", ["", "**/*.png"])
def test_loops_of_links_end(photos, pattern):
    # Two of them, because following both would double the work at each of 40 levels.
    for name in ("one", "two"):
        (photos / "trip" / name).symlink_to(photos)
    assert "b.png" in places(photos / pattern)


def test_a_link_to_a_folder_is_not_followed_but_may_be_the_source(photos, tmp_path):
    (photos / "again").symlink_to(photos / "trip")
    assert places(photos) == ["a.JPG", "b.png", "trip/c.jpg"]
    assert places(photos / "again") == ["c.jpg"]


def test_links_that_lead_nowhere_come_along_so_that_reading_them_fails(photos):
    (photos / "gone.png").symlink_to(photos / "absent.png")
    (photos / "self.png").symlink_to("self.png")
    assert places(photos) == ["a.JPG", "b.png", "gone.png", "self.png", "trip/c.jpg"]


def test_pipes_in_a_folder_are_left_out(photos):
    os.mkfifo(photos / "pipe.png")
    assert "pipe.png" not in places(photos)


def save(path, *, marked=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    if marked:
        path.write_bytes(mark(path.read_bytes()))


RESULTS = ("a.overlay.png", "a.overlay.jpg", "a.map.png", "a.crop-16x9-1.jpg")


def test_results_of_an_earlier_run_are_no_photos(tmp_path):
    save(tmp_path / "a.jpg")
    for name in RESULTS:
        save(tmp_path / name, marked=True)
    assert places(tmp_path) == places(tmp_path / "*") == ["a.jpg"]


@pytest.mark.parametrize("name", ["world.map.jpg", "my.overlay.png", "old.MAP.png"])
def test_maps_and_overlays_of_ones_own_are_photos(tmp_path, name):
    save(tmp_path / name)
    assert places(tmp_path) == [name]


def test_results_of_older_versions_are_known_by_their_journal(tmp_path):
    save(tmp_path / "a.jpg")
    save(tmp_path / "world.map.jpg")
    for name in ("a.overlay.png", "a.map.png"):
        save(tmp_path / "out" / "trip" / name)
    record = {"image": "a.jpg", "overlay": "trip/a.overlay.png", "map": "trip/a.map.png"}
    with Journal(tmp_path / "out", "made by") as journal:
        journal.append(Entry("trip/a", "a.jpg", "/a.jpg", None, "made by"))
    path = tmp_path / "out" / JOURNAL_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"record": record}) + "\n")
    assert places(tmp_path) == ["a.jpg", "world.map.jpg"]


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_suffix_that_is_read_is_found(tmp_path, suffix):
    (tmp_path / f"a{suffix}").touch()
    (tmp_path / f"b{suffix.upper()}").touch()
    assert places(tmp_path) == [f"a{suffix}", f"b{suffix.upper()}"]


@pytest.mark.parametrize(
    "folder", ["@eaDir", "$RECYCLE.BIN", "#recycle", ".thumbnails", "__MACOSX"]
)
def test_folders_of_other_programs_are_passed_over_and_named(tmp_path, folder):
    save(tmp_path / "a.jpg")
    save(tmp_path / folder / "a.jpg")
    for pattern in ("", "**/*"):
        passed_over = PassedOver()
        assert places(tmp_path / pattern, passed_over=passed_over) == ["a.jpg"]
        assert passed_over.describe() == f"in folders {folder} (1)"


def test_what_was_not_looked_at_is_counted_and_named(photos):
    for name in ("a.NEF", "b.nef", "film.mp4", "README", ".hidden.jpg"):
        (photos / "trip" / name).touch()
    save(photos / "b.map.png", marked=True)
    (photos / "again").symlink_to(photos / "trip")
    passed_over = PassedOver()
    assert places(photos, passed_over=passed_over) == ["a.JPG", "b.png", "trip/c.jpg"]
    described = passed_over.describe()
    assert described.startswith("2 .nef, ")
    for part in ("1 .mp4", "1 without suffix", "1 .txt", "1 results of this", "1 links to folders"):
        assert part in described


def test_of_many_suffixes_the_most_frequent_are_named():
    passed_over = PassedOver()
    for number in range(20):
        passed_over.add_file(f"a.{number}")
    passed_over.add_file("b.19")
    assert passed_over.describe().startswith("2 .19, 1 .0, ")
    assert passed_over.describe().endswith(", 12 others")


@pytest.mark.parametrize("folder", ["trip [2024]", "[a] [b]", "what?"])
@pytest.mark.parametrize("pattern", ["*.jpg", "**/*.jpg", "[ab].jpg"])
def test_a_glob_below_a_folder_that_looks_like_one(tmp_path, folder, pattern):
    save(tmp_path / folder / "a.jpg")
    save(tmp_path / folder / "sub" / "b.jpg")
    assert "a.jpg" in places(tmp_path / folder / pattern)
    assert places(tmp_path / folder / "sub" / pattern) == ["b.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_may_begin_with_a_byte_order_mark(listed, encoding):
    assert [found.path for found in listed("a.jpg\r\nü.jpg\r\n".encode(encoding))] == [
        "a.jpg",
        "ü.jpg",
    ]


def test_a_list_keeps_the_folders_as_they_are_written(listed, photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert listed(b"b.png\r\n./trip/c.jpg\n\n") == [
        ("b.png", "b.png"),
        ("./trip/c.jpg", "trip/c.jpg"),
    ]


def test_a_list_cannot_leave_the_results(listed, photos, monkeypatch):
    monkeypatch.chdir(photos / "trip")
    assert [found.place for found in listed(b"../b.png")] == ["b.png"]


def test_a_list_with_nul_holds_any_name(listed, tmp_path):
    (tmp_path / "two\nlines.png").touch()
    (name,) = [found.path for found in listed(os.fsencode(tmp_path / "two\nlines.png") + b"\0")]
    assert name == str(tmp_path / "two\nlines.png")


def test_a_list_holds_names_that_are_no_utf8(listed):
    assert [found.path for found in listed(b"caf\xe9.png\n")] == [os.fsdecode(b"caf\xe9.png")]


def test_a_list_may_name_folders(listed, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert [found.place for found in listed(b"photos/trip\n")] == ["photos/trip/c.jpg"]


def test_an_absent_file_of_a_list_does_not_stop_the_others(listed):
    assert len(listed(b"absent.png\nabsent too.png\n")) == 2


def test_an_empty_list_is_an_error(listed):
    with pytest.raises(SaliencyError, match="standard input"):
        listed(b"\n")


def test_only_what_can_ever_name_a_photo_can_be_watched(tmp_path):
    check_sources([str(tmp_path), str(tmp_path / "*.jpg")])
    with pytest.raises(SaliencyError, match="absent"):
        check_sources([str(tmp_path / "absent")])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_list_in_utf16_needs_a_byte_order_mark(listed, encoding):
    with pytest.raises(SaliencyError, match="UTF-16 without"):
        listed("/photos/a.jpg".encode(encoding))


def test_a_damaged_list_in_utf16_is_an_error(listed):
    with pytest.raises(SaliencyError, match="damaged UTF-16"):
        listed("a.jpg\n".encode("utf-16")[:-1])


def test_pipes_are_counted(photos):
    os.mkfifo(photos / "pipe.jpg")
    for source in (photos, photos / "*.jpg"):
        passed_over = PassedOver()
        places(source, passed_over=passed_over, required=False)
        assert passed_over.devices == 1
        assert "1 pipes or devices" in passed_over.describe()


def test_folders_that_a_glob_names_but_does_not_search_are_counted(photos):
    passed_over = PassedOver()
    assert places(photos / "*", passed_over=passed_over) == ["a.JPG", "b.png"]
    assert passed_over.folders == {"trip": 1, "album.png": 1}


def test_broken_links_of_a_glob_come_along(photos):
    (photos / "trip" / "gone.jpg").symlink_to("nowhere.jpg")
    assert places(photos / "*" / "*.jpg") == ["trip/c.jpg", "trip/gone.jpg"]


def test_an_empty_source_is_not_the_current_folder(photos, monkeypatch):
    monkeypatch.chdir(photos)
    with pytest.raises(SaliencyError, match="Found no text"):
        places("")


def test_a_folder_of_results_alone_says_that_they_are_ignored(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.crop-1x1-1.png")
    with pytest.raises(SaliencyError, match="ignored: 1 results of this program"):
        places(tmp_path)


@pytest.fixture
def nobody(tmp_path):
    """Be a user whom permissions bind."""
    if os.name != "posix" or os.geteuid():
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):
            break
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("pattern", ["**/*.jpg", "*/*.jpg", "trip/*.jpg", "trip/c.jpg", "trip"])
def test_a_folder_that_cannot_be_listed_is_named(photos, nobody, pattern):
    os.seteuid(0)
    (photos / "trip").chmod(0)
    os.seteuid(65534)
    [place] = places(photos / pattern)
    os.seteuid(0)
    (photos / "trip").chmod(0o755)
    assert place in ("trip", "c.jpg")


def test_a_glob_in_a_folder_that_cannot_be_entered_names_it(photos, nobody):
    os.seteuid(0)
    photos.parent.chmod(0o700)
    os.seteuid(65534)
    assert places(photos / "*/*.jpg") == [photos.name]
