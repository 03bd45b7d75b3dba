import json

import numpy as np
import pytest
from PIL import Image

from saliency import Predictor
from saliency.datasets import DrawnDataset
from saliency.insights import Box, Point, measure_regions

BOXES = ("--box", "0,0,20,10", "--box", "-5,3.5,15,20")


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(next(iter(DrawnDataset(1, seed=0))).image).save(path)
    return path


def test_json_has_the_numbers_of_the_library(saliency, photo, tiny_weights):
    ended = saliency("regions", photo, *BOXES, "--json", "-w", tiny_weights, "-d", "cpu")
    told = json.loads(ended.out)
    prediction = Predictor.load(tiny_weights, "cpu").predict(photo)
    boxes = [Box(0, 0, 20, 10), Box(-5, 3.5, 15, 20)]
    expected = measure_regions(prediction.density, boxes)
    assert told["image"] == str(photo)
    assert (told["height"], told["width"]) == prediction.image_size
    assert told["schema_version"] == 2
    for row, region in zip(told["regions"], expected, strict=True):
        assert Box(**row["box"]) == region.box
        assert row["share"] == pytest.approx(region.share)
        assert row["share_per_area"] == pytest.approx(region.share_per_area)
        assert row["peak"] == pytest.approx(region.peak)
        assert Point(**row["peak_at"]) == region.peak_at
        assert row["rank"] == region.rank


def test_regions_are_called_by_name_or_number(saliency, photo, tiny_weights):
    boxes = ("--box", "left=0,0,20,10", "--box", "0,0,5,5")
    told = json.loads(saliency("regions", photo, *boxes, "--json", "-w", tiny_weights).out)
    assert [row["name"] for row in told["regions"]] == ["left", "2"]


def test_boxes_of_a_file_follow_those_of_the_command(saliency, photo, tiny_weights, tmp_path):
    file = tmp_path / "boxes.json"
    file.write_text('{"right": [50, 0, 20, 10], "[red]": [0, 0, 9, 9]}')
    given = ("--boxes", file, "--box", "left=0,0,20,10", "-w", tiny_weights)
    told = json.loads(saliency("regions", photo, *given, "--json").out)
    assert [row["name"] for row in told["regions"]] == ["left", "right", "[red]"]
    assert Box(**told["regions"][1]["box"]) == Box(50, 0, 20, 10)
    assert "[red]" in saliency("regions", photo, *given).out


def test_coco_boxes_of_another_size_are_one_line(saliency, photo, tiny_weights, tmp_path):
    file = tmp_path / "coco.json"
    image = {"id": 1, "file_name": photo.name, "width": 640, "height": 480}
    box = {"image_id": 1, "bbox": [0, 0, 9, 9]}
    file.write_text(json.dumps({"images": [image], "annotations": [box]}))
    ended = saliency("regions", photo, "--boxes", file, "-w", tiny_weights)
    assert (ended.code, ended.out) == (1, "")
    assert "Found boxes for one of 640 x 480" in ended.err.splitlines()[-1]


@pytest.mark.parametrize("content", [None, "no json"])
def test_what_is_no_file_of_boxes_is_one_line(saliency, photo, tmp_path, content):
    file = tmp_path / "boxes.json"
    if content is not None:
        file.write_text(content)
    ended = saliency("regions", photo, "--boxes", file, "-w", "absent.safetensors")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1


def test_two_regions_of_one_name_are_one_line(saliency, photo):
    ended = saliency("regions", photo, "--box", "a=0,0,1,1", "--box", "a=1,1,1,1")
    assert (ended.code, ended.err) == (
        1,
        "error: Regions should have different names. Found twice: 'a'.\n",
    )


def test_the_table_has_a_row_a_box(saliency, photo, tiny_weights):
    ended = saliency("regions", photo, *BOXES, "-w", tiny_weights)
    assert ended.code == 0
    assert "0,0,20,10" in ended.out
    assert "0,3.5,10,20" in ended.out  # what was measured


def test_the_device_goes_to_stderr(saliency, photo, tiny_weights):
    ended = saliency("regions", photo, *BOXES, "-w", tiny_weights, "-d", "cpu")
    assert ended.err == "device: cpu, backend: torch\n"


def test_a_box_outside_the_photo_is_one_line(saliency, photo, tiny_weights):
    ended = saliency("regions", photo, "--box", "9999,0,5,5", "-w", tiny_weights, "-d", "cpu")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("error: `box` should overlap the photo")


def test_what_is_no_box_is_one_line_before_anything_is_loaded(saliency, photo):
    ended = saliency("regions", photo, "--box", "here", "-w", "absent.safetensors")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: `box` should be x,y,width,height")
    assert ended.err.count("\n") == 1


def test_a_broken_photo_is_one_line(saliency, tmp_path, tiny_weights):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ended = saliency("regions", tmp_path / "broken.png", *BOXES, "-w", tiny_weights, "-d", "cpu")
    assert (ended.code, ended.out) == (1, "")
    assert "broken.png cannot be decoded" in ended.err


def test_without_a_box_there_is_no_question(saliency, photo):
    assert saliency("regions", photo).code == 2


def test_help_shows_an_example_to_copy(saliency):
    ended = saliency("regions", "--help")
    assert "Example: saliency regions photo.jpg --box" in " ".join(ended.out.split())


def test_a_photo_of_one_pixel_is_measured(saliency, tmp_path, tiny_weights):
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(tmp_path / "dot.png")
    ended = saliency(
        "regions", tmp_path / "dot.png", "--box", "0,0,1,1", "--json", "-w", tiny_weights
    )
    assert json.loads(ended.out)["regions"][0]["share"] == 1
