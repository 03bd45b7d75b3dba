import multiprocessing
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.datasets import DrawnDataset
from saliency.devices import count_cores
from saliency.errors import ConfigError, DatasetError, ImageDecodeError, SaliencyError
from saliency.preprocessing import Preprocessing
from saliency.training.config import DataConfig, SetConfig
from saliency.training.data import (
    TrainingLoader,
    build_set,
    build_sets,
    find_data_root,
    fit_center_bias,
    groups_of,
    hashed_part,
    living_loaders,
)

PARTS = ("train", "val", "test")
PREPROCESSING = Preprocessing(64, 96, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


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


def test_the_root_of_the_config_comes_last():
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


def loader(config):
    return TrainingLoader(config, build_sets(config.data, "train", None), PREPROCESSING)


def assert_equal_batches(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        for name in type(one).__slots__:
            assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_batches_from_a_step_on_are_the_tail_of_the_whole_epoch(tiny_config):
    config = tiny_config()
    whole = list(loader(config).epoch(1))
    assert_equal_batches(whole[3:], loader(config).epoch(1, first_step=3))


def test_an_epoch_is_the_same_whatever_came_before(tiny_config):
    config = tiny_config()
    used = loader(config)
    list(used.epoch(0))
    assert_equal_batches(used.epoch(1), loader(config).epoch(1))


def test_worker_processes_change_nothing(tiny_config):
    assert_equal_batches(
        loader(tiny_config()).epoch(0), loader(tiny_config("data.workers=2")).epoch(0)
    )


def test_there_are_no_more_workers_than_cores(tiny_config):
    assert loader(tiny_config("data.workers=1000")).workers == count_cores()


def test_a_killed_loader_process_is_one_line(tiny_config):
    others = set(multiprocessing.active_children())
    batches = loader(tiny_config("data.workers=1", "train.saliency_per_batch=1")).epoch(0)
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - others

    def load_on() -> None:
        worker.kill()
        list(batches)

    # DataLoader worker (pid ...), or the connection that it was sending by.
    told = r"Found one gone: .*\. If memory was short, take fewer"
    with pytest.raises(SaliencyError, match=told), living_loaders():
        load_on()


def test_processes_that_train_together_share_the_cores(tiny_config, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert loader(tiny_config("data.workers=8")).workers == 1
    assert loader(tiny_config()).workers == 0


def test_other_errors_of_a_run_stay_what_they_are():
    with pytest.raises(RuntimeError, match="out of memory"), living_loaders():
        raise RuntimeError("out of memory")


def test_loading_leaves_torchs_random_numbers_alone(tiny_config):
    batches = loader(tiny_config()).epoch(0)
    before = torch.get_rng_state()
    list(batches)
    assert torch.equal(torch.get_rng_state(), before)


def test_epochs_differ(tiny_config):
    batches = loader(tiny_config())
    first, second = next(iter(batches.epoch(0))), next(iter(batches.epoch(1)))
    assert not torch.equal(first.images, second.images)


def test_seeds_differ(tiny_config):
    one, other = (next(iter(loader(tiny_config(f"train.seed={s}")).epoch(0))) for s in (0, 1))
    assert not torch.equal(one.images, other.images)


def test_the_end_of_an_epoch_has_no_batches_left(tiny_config):
    batches = loader(tiny_config())
    assert list(batches.epoch(0, first_step=batches.steps_per_epoch)) == []


def test_a_head_that_is_missing_gets_no_images(tiny_config):
    no_ratings = tiny_config("model.aesthetics=false", "model.guidance=false")
    assert not any(batch.has_rating.any() for batch in loader(no_ratings).epoch(0))


def test_rated_images_use_the_neutral_priors(tiny_config):
    batch = next(iter(loader(tiny_config()).epoch(0)))
    assert (batch.dataset_index[batch.has_rating] == 0).all()
    assert (batch.dataset_index[~batch.has_rating] == 1).all()
