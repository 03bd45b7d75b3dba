import json
import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from saliency.curation.check import ava, salicon
from saliency.curation.check.ava import AvaCopy
from saliency.curation.check.findings import CopyReport, Finding, problem, save_reports
from saliency.curation.check.images import try_image
from saliency.curation.check.osie import OsieCopy
from saliency.curation.check.packed import PackedCopy
from saliency.curation.check.ratings import RatingsCopy
from saliency.curation.check.salicon import SaliconCopy
from saliency.curation.pack import open_source, pack
from saliency.datasets.config import SetConfig
from saliency.errors import DatasetError


@pytest.fixture(autouse=True)
def _small_sets(monkeypatch):
    """Expect as many images as the small copies have."""
    monkeypatch.setattr(ava, "ROWS", 12)
    monkeypatch.setattr(ava, "TEST_IMAGES", 4)
    monkeypatch.setattr(salicon, "IMAGES", {"train": 4, "val": 2, "test": 2})


def look(copy, workers=2):
    """Return the titles of what is not as it should be, with the names."""
    seen = []
    report = copy.check(workers, lambda: seen.append(None))
    assert len(seen) == len(copy)
    return {finding.title: finding.names for finding in report.findings if not finding.ok}


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def test_whole_copies_have_no_problem(ava_copy, salicon_copy, osie_copy, ratings_copy):
    assert look(AvaCopy(ava_copy())) == {}
    assert look(SaliconCopy(salicon_copy())) == {}
    assert look(OsieCopy(osie_copy())) == {}
    assert look(RatingsCopy(ratings_copy() / "ratings.csv", 1, 7)) == {}


def test_ava_names_what_is_missing_damaged_and_unrated(ava_copy):
    root = ava_copy()
    (root / "images/103.jpg").unlink()
    cut(root / "images/104.jpg")
    shutil.copy(root / "images/105.jpg", root / "images/999.jpg")
    with (root / "AVA.txt").open("a") as file:
        file.write("13 101 " + "1 " * 10 + "0 0 0\n")
    found = look(AvaCopy(root))
    assert found.pop("rated images that are missing") == ("103.jpg",)
    assert found.pop("images without votes") == ("999.jpg",)
    assert found.pop("images with two rows") == ("101.jpg",)
    assert "104.jpg cannot be decoded" in found.pop("damaged images")[0]
    assert found == {"rows in AVA.txt": ()}  # 13 of 12


def test_ava_names_a_test_image_that_is_in_training_too(ava_copy):
    root = ava_copy()
    # The same pixels in another file: what a copy often looks like.
    with Image.open(root / "images/110.jpg") as image:
        image.save(root / "images/103.jpg", format="PNG")
    found = look(AvaCopy(root))
    assert found == {"the same image in several parts": ("train/103.jpg = test/110.jpg",)}


def test_the_same_image_twice_in_one_part_of_ava_is_no_leak(ava_copy):
    root = ava_copy()
    shutil.copy(root / "images/110.jpg", root / "images/111.jpg")
    assert look(AvaCopy(root)) == {}


def test_thumbnails_are_not_taken_for_photos(ava_copy):
    root = ava_copy()
    with Image.open(root / "images/101.jpg") as image:
        small = image.resize((80, 80))
    small.save(root / "images/101.jpg")
    ((title, names),) = look(AvaCopy(root)).items()
    assert title.startswith("thumbnails")
    assert names == ("101.jpg: 80x80",)


def test_salicon_names_labels_and_images_without_a_partner(salicon_copy):
    root = salicon_copy()
    (root / "maps/train/COCO_train2014_000000000000.png").unlink()
    (root / "fixations/train/COCO_train2014_000000000001.mat").unlink()
    (root / "images/val/COCO_val2014_000000000005.jpg").unlink()
    found = look(SaliconCopy(root))
    assert found == {
        "images in val": (),
        "images without a map": ("train/COCO_train2014_000000000000",),
        "maps without an image": ("val/COCO_val2014_000000000005",),
        "images without fixations": ("train/COCO_train2014_000000000001",),
        "fixations without an image": ("val/COCO_val2014_000000000005",),
    }


def test_salicon_names_damaged_and_misplaced_files(salicon_copy):
    root = salicon_copy()
    names = [f"COCO_train2014_{number:012}" for number in range(4)]
    cut(root / f"images/train/{names[0]}.jpg")
    cut(root / f"maps/train/{names[1]}.png")
    cut(root / f"fixations/train/{names[2]}.mat")
    shutil.copy(
        root / f"images/train/{names[3]}.jpg", root / "images/val/COCO_val2014_000000000004.jpg"
    )
    found = look(SaliconCopy(root))
    assert names[0] in found.pop("damaged images")[0]
    labels = found.pop("damaged or empty maps and fixations, or of another size")
    assert [name in text for name, text in zip(names[1:3], labels, strict=True)] == [True, True]
    assert found == {
        "the same image in several parts": (
            f"train/{names[3]}.jpg = val/COCO_val2014_000000000004.jpg",
        )
    }


def test_salicon_images_of_another_size_are_named(salicon_copy):
    found = look(SaliconCopy(salicon_copy(size=(240, 320))))
    assert len(found.pop("images that are not 640x480")) == 6
    assert found == {}


def test_salicons_test_images_are_optional_but_counted(salicon_copy):
    root = salicon_copy()
    (root / "images/test").mkdir()
    shutil.copy(
        root / "images/val/COCO_val2014_000000000004.jpg", root / "images/test/COCO_test_1.jpg"
    )
    found = look(SaliconCopy(root))
    assert set(found) == {"images in test", "the same image in several parts"}


def test_osie_names_images_without_fixations_and_the_reverse(osie_copy):
    root = osie_copy()
    (root / "stimuli/1001.jpg").rename(root / "stimuli/9001.jpg")
    shutil.copy(root / "stimuli/1002.jpg", root / "stimuli/9002.jpg")
    assert look(OsieCopy(root)) == {
        "images without fixations": ("9001.jpg", "9002.jpg"),
        "fixations without an image": ("1001.jpg",),
        "the same image twice": ("1002.jpg = 9002.jpg",),
    }


def test_ratings_name_one_image_in_two_groups_only(ratings_copy):
    root = ratings_copy()
    shutil.copy(root / "images/Photo 0.jpg", root / "images/Photo 1.jpg")  # one group
    assert look(RatingsCopy(root / "ratings.csv", 1, 7)) == {}
    shutil.copy(root / "images/Photo 0.jpg", root / "images/Photo 5.jpg")
    found = look(RatingsCopy(root / "ratings.csv", 1, 7))
    assert list(found) == ["the same image in several groups"]


def test_a_packed_set_is_checked_by_checksum(ava_copy, tmp_path):
    source = open_source(SetConfig(name="ava", layout="ava"), ava_copy().parent)
    pack(source, tmp_path / "packed", shard_images=5)
    assert look(PackedCopy(tmp_path / "packed")) == {}
    shard = tmp_path / "packed/ava-00001.tar"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    (tmp_path / "packed/ava-00002.tar").unlink()
    found = look(PackedCopy(tmp_path / "packed"))
    damaged = found.pop("damaged shards; delete them and pack again")
    assert "ava-00001.tar: its SHA-256 differs" in damaged[0]
    assert "ava-00002.tar" in damaged[1]
    assert found == {"images": ()}


def test_threads_change_nothing(ava_copy):
    root = ava_copy()
    cut(root / "images/104.jpg")
    copy = AvaCopy(root)
    assert copy.check(1, lambda: None) == copy.check(4, lambda: None)


def test_memory_does_not_grow_with_the_images(osie_copy):
    root = osie_copy(count=24)
    copy = OsieCopy(root)
    tracemalloc.start()
    copy.check(2, lambda: None)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # At most twice as many as threads are under way; all would be 24.
    assert peak_bytes < 12 * 600 * 800 * 3


def test_equal_pixels_of_another_shape_are_another_image(tmp_path):
    pixels = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels.reshape(4, 6, 3)).save(tmp_path / "b.png")
    assert try_image(tmp_path / "a.png").digest != try_image(tmp_path / "b.png").digest


def test_a_folder_of_another_kind_is_an_error(tmp_path):
    (tmp_path / "stimuli").mkdir()
    for copy in (AvaCopy, SaliconCopy, OsieCopy, PackedCopy):
        with pytest.raises(DatasetError):
            copy(tmp_path)


def test_the_report_has_every_name(tmp_path):
    names = [f"{number}.jpg" for number in range(100)]
    report = CopyReport("AVA", tmp_path, (Finding("images", 3), problem("damaged images", names)))
    save_reports([report], tmp_path / "check.json")
    saved = json.loads((tmp_path / "check.json").read_text())
    assert saved["ok"] is False
    assert saved["sets"][0]["findings"][1]["names"] == names
    assert saved["sets"][0]["findings"][0]["ok"] is True


@pytest.mark.data
def test_the_real_sets_are_whole_but_for_their_numbers(data_root):
    assert set(look(SaliconCopy(data_root / "salicon"))) == {"images in train", "images in val"}
    assert look(OsieCopy(data_root / "osie")) == {}
    assert look(RatingsCopy(data_root / "oasis/ratings.csv", 1, 7)) == {}
    found = look(AvaCopy(data_root / "ava"))
    assert len(found["rated images that are missing"]) == 25_594 - 63
    assert "damaged images" not in found


def zero_out(path):
    data = path.read_bytes()
    start = len(data) // 2
    path.write_bytes(data[:start] + bytes(400) + data[start + 400 :])


def test_a_jpeg_that_a_decoder_would_warn_of_is_damaged(ava_copy):
    root = ava_copy()
    zero_out(root / "images/104.jpg")
    [name] = look(AvaCopy(root))["damaged images"]
    assert "104.jpg: its JPEG data are damaged" in name


def test_empty_maps_and_damaged_fixations_are_named(salicon_copy):
    root = salicon_copy()
    [empty, *_] = sorted((root / "maps/train").iterdir())
    Image.new("L", (640, 480)).save(empty)
    [*_, mat] = sorted((root / "fixations/train").glob("*.mat"))
    mat.write_bytes(mat.read_bytes()[:-40])
    found = look(SaliconCopy(root))["damaged or empty maps and fixations, or of another size"]
    assert sorted(name.split(" should")[0] for name in found) == sorted([str(empty), str(mat)])
