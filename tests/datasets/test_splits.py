from pathlib import Path

import pytest

from saliency.datasets import pick_folds, pick_part, read_split
from saliency.errors import DatasetError

SPLITS = Path(__file__).parents[2] / "data/splits"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("image,part,fold\na.jpg,train,1\nb.jpg,test,0\nc.jpg,train,2\nd.jpg,val,1\n")
    return path


def test_a_part_is_picked_in_the_order_of_the_split(path):
    available = ["d.jpg", "c.jpg", "b.jpg", "a.jpg"]
    assert pick_part(read_split(path), available, "train") == ("a.jpg", "c.jpg")


def test_folds_are_picked_across_parts(path):
    available = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert pick_folds(read_split(path), available, {1}) == ("a.jpg", "d.jpg")


def test_images_that_are_not_there_are_reported(path, caplog):
    assert pick_part(read_split(path), ["a.jpg"], "train") == ("a.jpg",)
    assert "1 of 2 images are not in the data set: c.jpg" in caplog.text


def test_an_image_that_the_split_does_not_place_is_an_error(path):
    with pytest.raises(DatasetError, match=r"Found 1 that it does not list: new\.jpg"):
        pick_part(read_split(path), ["a.jpg", "new.jpg"], "train")


def test_an_unknown_part_lists_the_known_ones(path):
    with pytest.raises(DatasetError, match=r"train, test, val\. Found 'validation'"):
        pick_part(read_split(path), ["a.jpg"], "validation")


def test_a_split_without_folds_has_none_to_pick(tmp_path):
    (tmp_path / "split.csv").write_text("image,part\na.jpg,train\n")
    with pytest.raises(DatasetError, match=r"among \[\].*Found \[0\]"):
        pick_folds(read_split(tmp_path / "split.csv"), ["a.jpg"], [0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,part\na,train\n", r"columns image, part. Found \['file', 'part'\]"),
        ("image,part\na,train\na,test\n", "name an image once"),
        ("image,part,fold\na,train,x\n", "line 2: `fold` should be a whole number. Found 'x'"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, text, message):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_split(tmp_path / "split.csv")


def test_an_absent_file_is_a_dataset_error(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        read_split(tmp_path / "split.csv")


@pytest.mark.parametrize("name", ["osie", "eyecrowd", "scene", "salicon", "oasis"])
def test_the_project_s_splits_have_three_parts(name):
    split = read_split(SPLITS / f"{name}.csv")
    assert {row.part for row in split.rows} == {"train", "val", "test"}
