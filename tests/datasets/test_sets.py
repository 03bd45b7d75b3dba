"""Sets opened from the table `data` of a recipe."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.datasets import DrawnDataset
from saliency.datasets.config import DataConfig, SetConfig, find_data_root
from saliency.datasets.sets import build_set, build_sets, groups_of, hashed_part, trains_only
from saliency.errors import ConfigError, DatasetError, ImageDecodeError
from saliency.evaluation import fit_center_bias

PARTS = ("train", "val", "test")


@pytest.fixture
def rated_root(tmp_path):
    """A folder with a set `own` of 60 images in the ratings layout, three to a theme."""
    names = [f"{number:02}.png" for number in range(60)]
    (tmp_path / "own" / "images").mkdir(parents=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / "own" / "images" / name)
    rows = [f"{name},theme {number // 3},5" for number, name in enumerate(names)]
    (tmp_path / "own" / "ratings.csv").write_text("\n".join(["file,group,score", *rows]) + "\n")
    return tmp_path


@pytest.fixture
def salicon_root(tmp_path):
    for part, number in (("train", 1), ("val", 2)):
        for kind in ("images", "maps"):
            folder = tmp_path / "salicon" / kind / part
            folder.mkdir(parents=True)
            Image.new("L", (8, 8), 255).save(folder / f"COCO_{number}.png")
    return tmp_path


@pytest.fixture
def ava_root(tmp_path):
    """A folder with AVA of 60 images, the last 10 of them for testing."""
    root = tmp_path / "ava"
    (root / "images").mkdir(parents=True)
    lists = root / "aesthetics_image_lists"
    lists.mkdir()
    ids = range(100, 160)
    for image_id in ids:
        Image.new("RGB", (8, 8)).save(root / "images" / f"{image_id}.jpg")
    rows = [f"{n} {image_id} " + "1 " * 10 + "0 0 0" for n, image_id in enumerate(ids, 1)]
    (root / "AVA.txt").write_text("\n".join(rows) + "\n")
    (lists / "generic_ls_train.jpgl").write_text("\n".join(map(str, ids[:50])) + "\n")
    (lists / "generic_test.jpgl").write_text("\n".join(map(str, ids[50:])) + "\n")
    return tmp_path


def parts_of(set_config, root):
    return {part: build_set(set_config, part, root).ids for part in PARTS}


def assert_disjoint_and_whole(parts, whole):
    counts = Counter(image_id for ids in parts.values() for image_id in ids)
    assert set(counts) == set(whole)
    assert set(counts.values()) == {1}


def test_a_hashed_part_never_changes():
    # Frozen, because another hash would move trained images into the test part.
    found = [hashed_part("own", f"{number}.jpg") for number in range(7, 12)]
    assert found == ["val", "train", "test", "train", "test"]


def test_hashed_parts_have_about_their_shares():
    counts = Counter(hashed_part("own", f"{number}.jpg") for number in range(10_000))
    assert counts["test"] == pytest.approx(1500, abs=150)
    assert counts["val"] == pytest.approx(800, abs=110)


def test_equal_names_in_two_sets_are_hashed_apart():
    names = [f"{number}.jpg" for number in range(200)]
    assert [hashed_part("a", n) for n in names] != [hashed_part("b", n) for n in names]


def test_parts_of_a_set_without_split_are_disjoint_and_cover_it(rated_root):
    parts = parts_of(SetConfig(name="own", layout="ratings"), rated_root)
    assert_disjoint_and_whole(parts, [f"{number:02}.png" for number in range(60)])
    assert all(parts.values())


def test_a_split_decides_where_there_is_one(rated_root, tmp_path):
    part_of = {f"{number:02}.png": PARTS[number % 3] for number in range(60)}
    split = tmp_path / "own.csv"
    split.write_text("image,part\n" + "".join(f"{i},{p}\n" for i, p in part_of.items()))
    parts = parts_of(SetConfig(name="own", layout="ratings", split=split), rated_root)
    assert {image: part for part, ids in parts.items() for image in ids} == part_of


def test_a_test_fold_keeps_the_other_folds_for_training(rated_root, tmp_path):
    split = tmp_path / "own.csv"
    rows = [f"{n:02}.png,{'val' if n % 10 == 9 else 'train'},{n // 3 % 5}\n" for n in range(60)]
    split.write_text("image,part,fold\n" + "".join(rows))
    set_config = SetConfig(name="own", layout="ratings", split=split, test_fold=2)
    parts = parts_of(set_config, rated_root)
    assert_disjoint_and_whole(parts, [f"{number:02}.png" for number in range(60)])
    assert parts["test"] == tuple(f"{n:02}.png" for n in range(60) if n // 3 % 5 == 2)


@pytest.fixture
def training_only(rated_root, tmp_path):
    """A set whose split, with folds, has no image for validation or test."""
    split = tmp_path / "own.csv"
    rows = [f"{n:02}.png,{'twin' if n == 7 else 'train'},{n // 3 % 5}\n" for n in range(60)]
    split.write_text("image,part,fold\n" + "".join(rows))
    return SetConfig(name="own", layout="ratings", split=split)


def test_a_set_may_train_only(training_only, rated_root):
    drawn = SetConfig(name="drawn", layout="drawn")
    config = DataConfig(sets=(training_only, drawn))
    assert [s.name for s in build_sets(config, "val", rated_root)] == ["drawn"]
    sets = build_sets(config, "train", rated_root)
    assert [s.name for s in sets] == ["drawn", "own"]
    assert len(sets.rated[0]) == 59


def test_some_set_has_to_be_measured(training_only, rated_root):
    with pytest.raises(ConfigError, match="part val"):
        build_sets(DataConfig(sets=(training_only,)), "val", rated_root)


def test_a_cross_validated_set_is_tested_on_its_fold(training_only, rated_root):
    in_turn = training_only.model_copy(update={"test_fold": 2})
    assert trains_only(training_only)
    assert not trains_only(in_turn)
    sets = build_sets(DataConfig(sets=(in_turn,)), "test", rated_root)
    assert len(sets.rated[0]) == 12


def test_ava_keeps_its_official_test_list(ava_root):
    parts = parts_of(SetConfig(name="ava", layout="ava"), ava_root)
    assert_disjoint_and_whole(parts, [f"{image_id}.jpg" for image_id in range(100, 160)])
    assert parts["test"] == tuple(f"{image_id}.jpg" for image_id in range(150, 160))
    assert len(parts["train"]) > len(parts["val"]) > 0


def test_ava_trains_on_all_images_outside_of_its_test_list(ava_root):
    # The official training list names but a part of them.
    (ava_root / "ava/aesthetics_image_lists/generic_ls_train.jpgl").write_text("100\n101\n")
    parts = parts_of(SetConfig(name="ava", layout="ava"), ava_root)
    assert len(parts["train"]) + len(parts["val"]) == 50


def test_ava_without_its_test_list_is_an_error(ava_root):
    (ava_root / "ava/aesthetics_image_lists/generic_test.jpgl").unlink()
    with pytest.raises(DatasetError, match="generic_test"):
        build_set(SetConfig(name="ava", layout="ava"), "train", ava_root)


def test_salicon_keeps_its_official_parts(salicon_root):
    salicon = SetConfig(name="salicon", layout="salicon")
    assert build_set(salicon, "train", salicon_root).ids == ("COCO_1.png",)
    assert build_set(salicon, "val", salicon_root).ids == ("COCO_2.png",)


def test_salicons_test_labels_are_not_public(salicon_root):
    with pytest.raises(ConfigError, match=r"'salicon'.*split"):
        build_set(SetConfig(name="salicon", layout="salicon"), "test", salicon_root)


@pytest.mark.parametrize("layout", ["salicon", "osie", "ava", "ratings"])
def test_a_set_of_photos_without_a_root_is_an_error_that_says_where_to_name_it(layout):
    with pytest.raises(ConfigError, match=r"'mine'.*--data, SALIENCY_DATA or data\.root"):
        build_set(SetConfig(name="mine", layout=layout), "train", None)


def test_a_path_overrides_the_name_as_folder(rated_root):
    set_config = SetConfig(name="another", layout="ratings", path="own")
    assert build_set(set_config, "train", rated_root).name == "another"


def test_a_folder_of_another_layout_is_an_error(rated_root):
    with pytest.raises(DatasetError, match="stimuli"):
        build_set(SetConfig(name="own", layout="osie"), "train", rated_root)


@pytest.mark.parametrize("rated", [False, True])
def test_drawn_parts_show_different_images(rated):
    set_config = SetConfig(name="drawn", layout="drawn", rated=rated)
    images = [build_set(set_config, part, None)[0].image for part in PARTS]
    assert not any(np.array_equal(images[i], images[i - 1]) for i in range(3))


def test_sets_are_sorted_by_what_they_teach():
    looked, rated = (SetConfig(name=str(r), layout="drawn", rated=r) for r in (False, True))
    sets = build_sets(DataConfig(sets=(rated, looked)), "train", None)
    assert [s.name for s in sets.saliency] == ["False"]
    assert [s.name for s in sets] == ["False", "True"]


def test_the_root_named_on_the_command_line_comes_first(monkeypatch):
    monkeypatch.setenv("SALIENCY_DATA", "/environment")
    config = DataConfig(sets=(), root=Path("/config"))
    assert find_data_root(config, Path("/given")) == Path("/given")
    assert find_data_root(config) == Path("/environment")


def test_the_root_of_the_config_comes_last(monkeypatch):
    monkeypatch.delenv("SALIENCY_DATA", raising=False)
    assert find_data_root(DataConfig(sets=(), root=Path("/config"))) == Path("/config")
    assert find_data_root(DataConfig(sets=())) is None


def test_groups_follow_the_images_of_a_part(rated_root):
    dataset = build_set(SetConfig(name="own", layout="ratings"), "val", rated_root)
    assert groups_of(dataset) == tuple(f"theme {int(i[:2]) // 3}" for i in dataset.ids)


def test_other_layouts_have_no_groups():
    assert groups_of(DrawnDataset(3, seed=0, rated=True)) is None


class Damaged(DrawnDataset):
    """Drawn images whose first cannot be read."""

    def __getitem__(self, index):
        if index == 0:
            raise ImageDecodeError("damaged")
        return super().__getitem__(index)


def test_the_centre_bias_passes_over_damaged_images():
    bias = fit_center_bias(Damaged(3, seed=0))
    samples = [DrawnDataset(3, seed=0)[index] for index in (1, 2)]
    assert len(bias.unit_fixations.xs) == sum(len(s.fixations.xs) for s in samples)


def test_a_set_without_fixation_points_has_no_centre_bias(salicon_root):
    dataset = build_set(SetConfig(name="salicon", layout="salicon"), "train", salicon_root)
    assert dataset[0].density is not None
    assert fit_center_bias(dataset) is None
