"""Regions keep their names, COCO's boxes find their photo, and nonsense is named."""

import json

import pytest

from saliency.errors import InsightError
from saliency.insights import Box, Region, RegionFile, check_names, parse_region_file

COCO = {
    "images": [
        {"id": 7, "file_name": "train/cat.jpg", "width": 640, "height": 480},
        {"id": 8, "file_name": "dog.jpg"},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "cell phone"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]},
        {"image_id": 8, "category_id": 2, "bbox": [5, 6, 7, 8.5]},
        {"image_id": 7, "category_id": 1, "bbox": [9, 9, 9, 9]},
    ],
}


@pytest.mark.parametrize(
    ("text", "name"),
    [("cta=1,2,3,4", "cta"), (" a b = 1,2,3,4", "a b"), ("1,2,3,4", "9"), ("a=b=1,2,3,4", "a=b")],
)
def test_a_region_is_a_name_and_a_box(text, name):
    assert Region.parse(text, "9") == Region(name, Box(1, 2, 3, 4))


def test_what_follows_a_name_is_a_box():
    with pytest.raises(InsightError, match="`box` should be x,y,width,height"):
        Region.parse("cta=here")


def test_an_object_names_its_boxes():
    found = parse_region_file('{"a": [1, 2, 3, 4], "b": [0, 0, 0.5, 1]}', "photo.jpg")
    assert found.regions == (Region("a", Box(1, 2, 3, 4)), Region("b", Box(0, 0, 0.5, 1)))


def test_boxes_of_a_list_are_numbered():
    found = parse_region_file("[[1, 2, 3, 4], [5, 6, 7, 8]]", "photo.jpg")
    assert found.regions == (Region("1", Box(1, 2, 3, 4)), Region("2", Box(5, 6, 7, 8)))


def test_coco_gives_the_boxes_of_the_photo_by_category():
    found = parse_region_file(json.dumps(COCO), "cat.jpg")
    assert found.regions == (Region("cat", Box(1, 2, 3, 4)), Region("cat 2", Box(9, 9, 9, 9)))


def test_coco_says_which_size_its_boxes_are_for():
    assert parse_region_file(json.dumps(COCO), "cat.jpg").image_size == (480, 640)
    assert parse_region_file(json.dumps(COCO), "dog.jpg").image_size is None


@pytest.mark.parametrize(
    ("photo", "x"),
    [
        ("cat.jpg", 1),
        ("photos/cat.jpg", 1),
        ("sub/cat.jpg", 2),
        ("a/sub/cat.jpg", 2),
        ("b/cat.jpg", 3),
    ],
)
def test_coco_tells_photos_of_one_name_apart_by_their_folders(photo, x):
    names = ("cat.jpg", "sub/cat.jpg", "b\\cat.jpg")
    images = [{"id": number, "file_name": name} for number, name in enumerate(names, 1)]
    boxes = [{"image_id": number, "bbox": [number, 0, 5, 5]} for number in (1, 2, 3)]
    found = parse_region_file(json.dumps({"images": images, "annotations": boxes}), photo)
    assert found.regions == (Region("region", Box(x, 0, 5, 5)),)


def test_two_photos_of_one_name_and_no_folder_that_agrees_are_an_error():
    images = [{"id": n, "file_name": f"{n}/cat.jpg"} for n in (1, 2)]
    boxes = [{"image_id": 1, "bbox": [1, 2, 3, 4]}]
    with pytest.raises(InsightError, match=r"once\. Found it 2 times"):
        parse_region_file(json.dumps({"images": images, "annotations": boxes}), "x/cat.jpg")


@pytest.mark.parametrize("name", ["bird.jpg", "CAT.JPG"])
def test_a_photo_that_coco_does_not_name_is_said(name):
    with pytest.raises(InsightError, match=rf"should name {name} once. Found it 0 times"):
        parse_region_file(json.dumps(COCO), name)


def test_a_photo_that_coco_names_twice_is_said():
    twice = {**COCO, "images": [*COCO["images"], {"id": 9, "file_name": "val/cat.jpg"}]}
    with pytest.raises(InsightError, match="Found it 2 times"):
        parse_region_file(json.dumps(twice), "cat.jpg")


def test_a_photo_without_boxes_in_coco_is_said():
    with pytest.raises(InsightError, match=r"should have a box in cat.jpg. Found none"):
        parse_region_file(json.dumps({**COCO, "annotations": []}), "cat.jpg")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "7",
        "null",
        '"text"',
        "[1, 2, 3, 4]",
        "[[1, 2, 3]]",
        '{"a": [1, 2, 3, 4, 5]}',
        '{"a": [1, 2, 3, "x"]}',
        '{"annotations": []}',
        '{"images": 5, "annotations": 5}',
        '{"images": [{}], "annotations": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_file_of_boxes_is_said(text):
    with pytest.raises(InsightError, match="file of boxes should be"):
        parse_region_file(text, "photo.jpg")


def test_a_name_given_twice_in_a_file_is_said():
    text = '{"cta": [0, 0, 9, 9], "title": [0, 0, 5, 5], "cta": [1, 1, 9, 9]}'
    with pytest.raises(InsightError, match="'cta' twice"):
        parse_region_file(text, "cat.jpg")


@pytest.mark.parametrize("text", ["{}", "[]"])
def test_a_file_without_boxes_is_said(text):
    with pytest.raises(InsightError, match=r"at least one\. Found none"):
        parse_region_file(text, "photo.jpg")


@pytest.mark.parametrize("box", ["[0, 0, 0, 5]", "[0, 0, NaN, 5]", "[0, 0, 5, 1e999]"])
def test_a_box_in_a_file_is_checked_as_any_other(box):
    with pytest.raises(InsightError, match="`box` should have"):
        parse_region_file(f"[{box}]", "photo.jpg")


def test_boxes_of_another_size_are_refused():
    file = RegionFile((Region("a", Box(1, 2, 3, 4)),), image_size=(480, 640))
    file.check_size((480, 640))
    with pytest.raises(InsightError, match=r"480 wide and 640 high. Found boxes for one of 640 x"):
        file.check_size((640, 480))


def test_boxes_without_a_size_fit_any_photo():
    RegionFile((Region("a", Box(1, 2, 3, 4)),)).check_size((1, 1))


def test_a_name_stands_for_one_box():
    check_names([Region("a", Box(1, 2, 3, 4)), Region("b", Box(1, 2, 3, 4))])
    with pytest.raises(InsightError, match="Found twice: 'a'"):
        check_names([Region("a", Box(1, 2, 3, 4)), Region("a", Box(5, 6, 7, 8))])
