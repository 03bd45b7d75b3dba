import io
import json
import logging
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from itertools import groupby

import cv2
import numpy as np
import pytest
import torch

from saliency.curation.pack import QUALITY, SIZE, open_source, pack, to_packed_size
from saliency.datasets import PackedDataset
from saliency.datasets.config import SetConfig
from saliency.datasets.sets import build_set, build_sets, groups_of, hashed_part, open_whole_set
from saliency.errors import ConfigError, DatasetError
from saliency.fixations import to_fixation_map
from saliency.metrics import cc
from saliency.preprocessing import Preprocessing, resize
from saliency.training.config import load_config
from saliency.training.data import PlainBatches, TrainingLoader
from saliency.types import Fixations

SALICON = SetConfig(name="salicon", layout="salicon")
OSIE = SetConfig(name="osie", layout="osie")
AVA = SetConfig(name="ava", layout="ava")
OASIS = SetConfig(name="oasis", layout="ratings")
PREPROCESSING = Preprocessing(96, 128, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def pack_copy(root, config, **options):
    """Pack the copy at `root` and return the folder that holds the packed sets."""
    out = root.parents[1] / "packed"
    pack(open_source(config, root.parent), out / config.name, **options)
    return out


def psnr(image, other):
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - other) ** 2))


def both(root, config, **options):
    """Return the set of a folder and the same set packed."""
    out = pack_copy(root, config, **options)
    return open_whole_set(config, root.parent), open_whole_set(config, out)


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [
        ((480, 640), (384, 512)),
        ((600, 900), (384, 576)),  # covers: both sides are enough
        ((640, 480), (512, 384)),  # upright
        ((3000, 4000), (384, 512)),
        ((100, 4000), (100, 4000)),  # too flat to lose rows
        ((384, 512), (384, 512)),
        ((80, 80), (80, 80)),  # never enlarged
    ],
)
def test_an_image_is_shrunk_to_cover_the_size(image_size, expected):
    assert to_packed_size(image_size, SIZE) == expected


def test_the_default_size_is_enough_for_trainings_smallest_crop():
    share, stretch = 0.7, 1.18  # DataConfig.crop_scale, Augmentation's crop_ratio
    assert SIZE[0] * (share / stretch) ** 0.5 >= 288
    assert SIZE[1] * (share / stretch) ** 0.5 >= 384


@pytest.mark.parametrize("copy", ["osie", "salicon"])
def test_packed_images_and_labels_are_the_folders_but_for_the_size(copy, osie_copy, salicon_copy):
    root, config = (osie_copy(), OSIE) if copy == "osie" else (salicon_copy(), SALICON)
    folder, packed = both(root, config)
    assert packed.ids == folder.ids
    for own, its in zip(folder, packed, strict=True):
        height, width = its.image.shape[:2]
        assert (own.image_id, own.dataset) == (its.image_id, its.dataset)
        assert (height, width) == to_packed_size(own.image.shape[:2], SIZE)
        assert psnr(resize(own.image, (height, width)), its.image) > 34
        scale_x, scale_y = width / own.image.shape[1], height / own.image.shape[0]
        np.testing.assert_allclose(its.fixations.xs, own.fixations.xs * scale_x, rtol=1e-5)
        np.testing.assert_allclose(its.fixations.ys, own.fixations.ys * scale_y, rtol=1e-5)
        assert its.density.shape == (height, width)
        assert its.density.sum() == pytest.approx(1, abs=1e-4)
        smaller = cv2.resize(own.density, (width, height), interpolation=cv2.INTER_AREA)
        assert cc(its.density, smaller) > 0.999
        assert its.score_distribution is None


@pytest.mark.parametrize("copy", ["ava", "ratings"])
def test_packed_ratings_are_the_folders_exactly(copy, ava_copy, ratings_copy):
    root, config = (ava_copy(), AVA) if copy == "ava" else (ratings_copy(), OASIS)
    folder, packed = both(root, config)
    for index in range(len(folder)):
        own, its = folder[index], packed[index]
        assert np.array_equal(own.score_distribution, its.score_distribution)
        assert packed.rating(index) == folder.rating(index)
        assert psnr(resize(own.image, its.image.shape[:2]), its.image) > 34
    assert groups_of(packed) == groups_of(folder)


def test_votes_are_kept_as_counts(ava_copy):
    out = pack_copy(ava_copy(), AVA)
    assert PackedDataset(out / "ava").rating(0).votes == (1, 2, 3, 4, 5, 1, 2, 3, 4, 5)


def test_a_point_at_the_far_edge_stays_inside(osie_copy):
    root = osie_copy()
    source = open_source(OSIE, root.parent)
    # Of this size the last number below the width rounds up to the packed width.
    image = np.zeros((720, 960, 3), np.uint8)
    point = (np.float32([np.nextafter(np.float32(side), np.float32(0))]) for side in (960, 720))
    edge = replace(source.dataset[0], image=image, fixations=Fixations(*point))

    class AtTheEdge(type(source.dataset)):
        def __getitem__(self, index):
            return edge

    source.dataset.__class__ = AtTheEdge
    pack(source, root / "packed")
    sample = PackedDataset(root / "packed")[0]
    assert to_fixation_map(sample.fixations, (384, 512))[383, 511] == 1


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_parts_without_a_split_are_the_folders(part, ava_copy, osie_copy, ratings_copy):
    for root, config in ((ava_copy(), AVA), (osie_copy(), OSIE), (ratings_copy(), OASIS)):
        out = pack_copy(root, config)
        assert build_set(config, part, out).ids == build_set(config, part, root.parent).ids


def test_salicons_official_parts_survive(salicon_copy):
    root = salicon_copy()
    out = pack_copy(root, SALICON)
    for part, count in (("train", 4), ("val", 2)):
        assert build_set(SALICON, part, out).ids == build_set(SALICON, part, root.parent).ids
        assert len(build_set(SALICON, part, out)) == count
    with pytest.raises(ConfigError, match="public labels"):
        build_set(SALICON, "test", out)


def test_a_split_chooses_among_packed_images_too(osie_copy, tmp_path):
    root = osie_copy()
    out = pack_copy(root, OSIE)
    rows = [f"{1001 + n}.jpg,{'train' if n % 2 else 'val'}\n" for n in range(6)]
    (tmp_path / "split.csv").write_text("image,part\n" + "".join(rows))
    config = OSIE.model_copy(update={"split": tmp_path / "split.csv"})
    assert build_set(config, "val", out).ids == ("1001.jpg", "1003.jpg", "1005.jpg")


def test_a_set_packed_from_another_layout_is_refused(osie_copy):
    out = pack_copy(osie_copy(), OSIE)
    with pytest.raises(DatasetError, match=r"layout 'ava', that of the set 'osie'.*Found 'osie'"):
        open_whole_set(SetConfig(name="osie", layout="ava"), out)


def test_plain_tar_and_webdataset_understand_a_shard(salicon_copy):
    out = pack_copy(salicon_copy(), SALICON)
    with tarfile.open(out / "salicon/salicon-00000.tar") as shard:
        names = shard.getnames()
        facts = json.load(shard.extractfile("00000001.json"))
        points = np.load(io.BytesIO(shard.extractfile("00000001.fixations.npy").read()))
    # WebDataset: members that follow one another and agree up to the first dot are one sample.
    samples = [
        [n.split(".", 1)[1] for n in g] for _, g in groupby(names, lambda n: n.split(".")[0])
    ]
    assert samples == [["jpg", "json", "fixations.npy", "density.png"]] * 6
    assert facts == {
        "image": "COCO_train2014_000000000001.jpg",
        "part": "train",
        "size": [480, 640],
    }
    assert points.shape == (60, 2)


def test_shards_are_the_same_whatever_the_threads(ava_copy, tmp_path):
    source = open_source(AVA, ava_copy().parent)
    pack(source, tmp_path / "one", shard_images=5, workers=1)
    pack(source, tmp_path / "four", shard_images=5, workers=4)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "four" / path.name).read_bytes()


def test_images_of_all_shards_are_found_in_any_order(ava_copy):
    folder, packed = both(ava_copy(), AVA, shard_images=5)
    for index in (11, 0, 5, 4, 10):
        assert packed[index].image_id == folder.ids[index]
        assert psnr(resize(folder[index].image, (384, 576)), packed[index].image) > 34


def test_a_stopped_run_goes_on_with_what_is_missing(ava_copy, tmp_path):
    source = open_source(AVA, ava_copy().parent)
    out = tmp_path / "packed"
    pack(source, tmp_path / "whole", shard_images=5)

    def stop(done_before):
        seen.append(done_before)
        if len(seen) == 7:
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        pack(source, out, shard_images=5, on_image=stop)
    assert {path.name for path in out.iterdir()} == {
        "manifest.json", "ava-00000.tar", "ava-00000.json"
    }  # fmt: skip
    with pytest.raises(DatasetError, match="packed completely"):
        PackedDataset(out)
    seen = []
    pack(source, out, shard_images=5, on_image=seen.append)
    assert seen == [True] * 5 + [False] * 7
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(ava_copy, tmp_path):
    root = ava_copy(count=40)
    source = open_source(AVA, root.parent)
    pack(source, tmp_path / "whole", shard_images=4)
    program = (
        "import sys; from pathlib import Path\n"
        "from saliency.curation.pack import open_source, pack\n"
        "from saliency.datasets.config import SetConfig\n"
        "source = open_source(SetConfig(name='ava', layout='ava'), Path(sys.argv[1]))\n"
        "pack(source, Path(sys.argv[2]), shard_images=4)\n"
    )
    out = tmp_path / "killed"
    running = subprocess.Popen([sys.executable, "-c", program, root.parent, out])
    while not (out / "ava-00001.json").is_file():
        assert running.poll() is None
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    seen = []
    pack(source, out, shard_images=4, on_image=seen.append)
    assert seen.count(True) >= 8
    kept = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert kept == {path.name for path in (tmp_path / "whole").iterdir()}
    for name in kept:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_deleted_shard_is_written_again_alone(ava_copy, tmp_path):
    source = open_source(AVA, ava_copy().parent)
    pack(source, tmp_path / "packed", shard_images=5)
    shard = tmp_path / "packed/ava-00001.tar"
    before = shard.read_bytes()
    shard.unlink()
    seen = []
    pack(source, tmp_path / "packed", shard_images=5, on_image=seen.append)
    assert seen == [True] * 5 + [False] * 5 + [True] * 2
    assert shard.read_bytes() == before


def test_what_cannot_be_read_is_left_out_and_named(salicon_copy):
    root = salicon_copy()
    image = root / "images/train/COCO_train2014_000000000001.jpg"
    image.write_bytes(image.read_bytes()[:2000])
    (root / "fixations/train/COCO_train2014_000000000002.mat").write_bytes(b"no MATLAB file")
    packed = pack(open_source(SALICON, root.parent), root / "packed")
    assert packed.images == 4
    assert "MATLAB" in packed.skipped["COCO_train2014_000000000002.jpg"]
    assert "cannot be decoded" in packed.skipped["COCO_train2014_000000000001.jpg"]
    assert len(PackedDataset(root / "packed")) == 4


@pytest.mark.parametrize("changed", [{"quality": QUALITY - 5}, {"size": (288, 384)}])
def test_a_folder_packed_otherwise_is_not_mixed(osie_copy, changed):
    root = osie_copy()
    pack_copy(root, OSIE)
    with pytest.raises(ConfigError, match=rf"with {next(iter(changed))} .*Found"):
        pack_copy(root, OSIE, **changed)


def test_a_folder_of_other_images_is_not_mixed(osie_copy):
    root = osie_copy()
    pack_copy(root, OSIE)
    (root / "stimuli/1001.jpg").unlink()
    with pytest.raises(ConfigError, match="source_sha256"):
        pack_copy(root, OSIE)


def test_a_packed_set_is_not_packed_again(osie_copy, tmp_path):
    out = pack_copy(osie_copy(), OSIE)
    with pytest.raises(DatasetError, match="in its own layout"):
        open_source(OSIE, out)


def test_parts_of_a_renamed_set_stay_those_it_was_packed_with(osie_copy):
    out = pack_copy(osie_copy(), OSIE)
    renamed = SetConfig(name="another", layout="osie", path="osie")
    ids = build_set(renamed, "train", out).ids
    assert ids == tuple(
        i for i in PackedDataset(out / "osie").ids if hashed_part("osie", i) == "train"
    )


RECIPE = """
[data]
height = 96
width = 128
sets = [
    { name = "osie", layout = "osie" },
    { name = "salicon", layout = "salicon" },
    { name = "oasis", layout = "ratings" },
]

[train]
saliency_per_batch = 2
"""


@pytest.fixture
def folders_and_packed(osie_copy, salicon_copy, ratings_copy, tmp_path):
    """A config, and the training part of its sets in their own layouts and packed."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    config = load_config(tmp_path / "recipe.toml")
    roots = osie_copy(), salicon_copy(), ratings_copy()
    for root, set_config in zip(roots, config.data.sets, strict=True):
        out = pack_copy(root, set_config)
    return config, *(build_sets(config.data, "train", data) for data in (roots[0].parent, out))


def test_the_network_sees_the_same_images_and_densities(folders_and_packed):
    _, folders, packed = folders_and_packed
    batches = [PlainBatches(sets, PREPROCESSING, limit=100) for sets in (folders, packed)]
    for own, its in zip(*batches, strict=True):
        for image, other in zip(own.images, its.images, strict=True):
            assert torch.corrcoef(torch.stack([image.ravel(), other.ravel()]))[0, 1] > 0.98
        for density, other in zip(own.density, its.density, strict=True):
            assert not density.any() or cc(density.numpy(), other.numpy()) > 0.999


def test_training_draws_the_same_images_in_the_same_order(folders_and_packed):
    config, *both_sets = folders_and_packed
    folders, packed = (TrainingLoader(config, sets, PREPROCESSING) for sets in both_sets)
    assert packed.steps_per_epoch == folders.steps_per_epoch
    for own, its in zip(folders.epoch(1, 1), packed.epoch(1, 1), strict=True):
        for labels in ("score_distribution", "dataset_index", "has_saliency", "has_rating"):
            assert torch.equal(getattr(own, labels), getattr(its, labels))


@pytest.fixture(params=[0, 2], ids=["in this process", "in loader processes"])
def packed_osie(request, osie_copy, tmp_path):
    """A config, the training part of a packed set, its shard and an index in it."""
    (tmp_path / "recipe.toml").write_text(RECIPE.partition("sets")[0] + OSIE_ALONE)
    config = load_config(tmp_path / "recipe.toml", [f"data.workers={request.param}"])
    out = pack_copy(osie_copy(), OSIE)
    sets = build_sets(config.data, "train", out)
    return config, sets, out / "osie" / "osie-00000.tar"


OSIE_ALONE = """
sets = [{ name = "osie", layout = "osie" }]

[train]
saliency_per_batch = 2
"""


def test_training_passes_over_a_damaged_packed_image_and_names_it(packed_osie, capfd):
    config, sets, shard = packed_osie
    (training,) = sets.saliency
    place = PackedDataset(shard.parent).ids.index(training.ids[0])
    data = bytearray(shard.read_bytes())
    data[json.loads(shard.with_suffix(".json").read_text())["offsets"][place] + 600] ^= 1
    shard.write_bytes(data)
    loader = TrainingLoader(config, sets, PREPROCESSING)
    shown = logging.StreamHandler()  # as the command line has it
    logging.getLogger().addHandler(shown)
    try:
        assert sum(len(batch.images) for batch in loader.epoch(0)) == len(training)
    finally:
        logging.getLogger().removeHandler(shown)
    told = capfd.readouterr().err
    assert f"osie: passed over {training.ids[0]}: The shard {shard} is damaged" in told
    assert "Delete it and run the same `saliency data pack` again" in told
    assert "Traceback" not in told


def test_a_shard_that_goes_while_training_is_one_line(packed_osie):
    config, sets, shard = packed_osie
    shard.unlink()
    with pytest.raises(DatasetError) as caught:
        list(TrainingLoader(config, sets, PREPROCESSING).epoch(0))
    assert str(caught.value) == (
        f"The shard {shard} should be readable. Found: No such file or directory."
    )


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "layout"), [("osie", "osie"), ("salicon", "salicon"), ("oasis", "ratings")]
)
def test_real_sets_pack_to_samples_like_their_own(data_root, tmp_path, name, layout):
    config = SetConfig(name=name, layout=layout)
    source = open_source(config, data_root)

    class Few(type(source.dataset)):
        def __len__(self):
            return 12

    source.dataset.__class__ = Few
    pack(source, tmp_path / name)
    packed = PackedDataset(tmp_path / name, name)
    assert len(packed) == 12
    for own, its in zip((source.dataset[i] for i in range(12)), packed, strict=True):
        size = its.image.shape[:2]
        assert psnr(resize(own.image, size), its.image) > 34
        if own.density is not None:
            smaller = cv2.resize(own.density, size[::-1], interpolation=cv2.INTER_AREA)
            assert cc(its.density, smaller) > 0.999
            assert len(its.fixations.xs) == len(own.fixations.xs)
        else:
            assert np.array_equal(own.score_distribution, its.score_distribution)


def test_an_image_that_was_repaired_is_packed_by_the_next_run(salicon_copy):
    root = salicon_copy()
    image = root / "images/train/COCO_train2014_000000000001.jpg"
    whole = image.read_bytes()
    image.write_bytes(whole[:2000])
    source = open_source(SALICON, root.parent)
    assert len(pack(source, root / "packed").skipped) == 1
    image.write_bytes(whole)
    packed = pack(source, root / "packed")
    assert (packed.images, packed.skipped) == (len(source), {})


def test_an_image_that_is_still_damaged_packs_nothing_anew(salicon_copy):
    root = salicon_copy()
    image = root / "images/train/COCO_train2014_000000000001.jpg"
    image.write_bytes(image.read_bytes()[:2000])
    source, seen = open_source(SALICON, root.parent), []
    pack(source, root / "packed")
    pack(source, root / "packed", on_image=seen.append)
    assert seen == [True] * len(source)
