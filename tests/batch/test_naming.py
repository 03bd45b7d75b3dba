import os

import pytest
from PIL import Image

from saliency.batch import Found, find_files, find_photos, name_photos


def names(*sources, owners=None):
    found = find_files([str(source) for source in sources])
    return [photo.name for photo in name_photos(found, owners)]


@pytest.fixture
def folder(tmp_path):
    """Return a function that puts photos into a folder."""

    def fill(*files: str):
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(tmp_path / file)
        return tmp_path

    return fill


def test_names_mirror_the_folder(photos):
    assert names(photos) == ["a", "b", "trip/c"]


def test_a_photo_named_twice_comes_once(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert names("a.JPG", photos, "./trip/../a.JPG", "*.JPG") == ["a", "b", "trip/c"]


def test_a_link_to_a_photo_that_came_does_not_come(folder):
    at = folder("a.png")
    (at / "b.png").symlink_to("a.png")
    assert names(at) == ["a"]


def test_photos_that_differ_in_suffix_alone_keep_apart(folder):
    assert sorted(names(folder("a.png", "a.jpg", "a-jpg.png"))) == ["a-jpg", "a-jpg-2", "a-png"]


def test_equal_names_in_two_folders_keep_apart(folder):
    at = folder("one/a.png", "two/a.png")
    assert len(set(names(at / "one", at / "two"))) == 2


def test_links_that_lead_nowhere_keep_apart(folder):
    at = folder("one/b.png", "two/b.png")
    for name in ("one", "two"):
        (at / name / "a.png").symlink_to(at / "absent" / name / "a.png")
    assert len(set(names(at / "one", at / "two"))) == 4


def test_names_that_differ_in_case_alone_keep_apart(folder):
    # Results may be copied to a disk that takes them for one.
    found = [Found("x/A.png", "A.png"), Found("x/a.png", "a.png")]
    assert len({photo.name.lower() for photo in name_photos(found)}) == 2


def test_a_name_from_an_earlier_run_stays_with_its_photo(folder):
    at = folder("a.jpg")
    earlier = {photo.name: photo.real_path for photo in find_photos([str(at)])}
    folder("a.png")
    assert sorted(names(at, owners=earlier)) == ["a", "a-png"]


def test_a_name_from_an_earlier_run_is_not_given_to_another_photo(folder):
    at = folder("one/a.png", "two/a.png")
    earlier = {photo.name: photo.real_path for photo in find_photos([str(at / "one")])}
    assert names(at / "two", owners=earlier) == ["a-png"]


def test_a_folder_that_has_moved_keeps_its_names(folder):
    at = folder("old/a.png", "old/b.png")
    earlier = {photo.name: photo.real_path for photo in find_photos([str(at / "old")])}
    (at / "old").rename(at / "new")
    assert names(at / "new", owners=earlier) == ["a", "b"]


def test_results_of_a_photo_that_is_gone_are_not_lost_to_another_file_name(folder):
    at = folder("a.jpg")
    earlier = {photo.name: photo.real_path for photo in find_photos([str(at)])}
    (at / "a.jpg").unlink()
    folder("a.png")
    assert names(at, owners=earlier) == ["a-png"]


def test_real_paths_are_those_of_the_system(photos, monkeypatch):
    (photos / "link.png").symlink_to("b.png")
    monkeypatch.chdir(photos / "trip")
    for path in ("c.jpg", "../a.JPG", "../link.png", str(photos / "trip" / ".." / "b.png")):
        (photo,) = find_photos([path])
        assert photo.real_path == os.path.realpath(path)
