import json
from dataclasses import replace

import numpy as np
import pytest
from torch.utils.data import DataLoader

from saliency.attributes import Attribute
from saliency.curation.pack import open_source, pack
from saliency.datasets import PackedDataset, RatingsDataset, Subset, is_packed
from saliency.datasets.config import SetConfig
from saliency.errors import DatasetError, ImageDecodeError


@pytest.fixture
def root(tmp_path, write_image):
    """Seven rated images, packed into shards of three."""
    names = [f"{number}.png" for number in range(7)]
    for number, name in enumerate(names):
        write_image(tmp_path / "own/images" / name, (48, 64), seed=number)
    rows = [f"{name},{1 + number % 7},{'cat' * (number % 2)}" for number, name in enumerate(names)]
    (tmp_path / "own/ratings.csv").write_text("\n".join(["file,score,kind", *rows]) + "\n")
    source = open_source(SetConfig(name="own", layout="ratings"), tmp_path)
    pack(source, tmp_path / "packed", shard_images=3)
    return tmp_path / "packed"


KIND = {"kind": Attribute("kind", classes=("cat", "dog"))}


def flip(path, position):
    """Damage one byte."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def first_byte_of_the_second_image(root):
    shard = json.loads((root / "own-00001.json").read_text())
    return shard["offsets"][1] + 600  # past the member's name, in the JPEG


def test_a_packed_folder_is_known_by_its_manifest(root):
    assert is_packed(root)
    assert not is_packed(root.parent / "own")


def test_images_of_equal_content_come_back_by_index(root):
    dataset = PackedDataset(root, "mine")
    assert [sample.image_id for sample in dataset] == list(dataset.ids)
    assert dataset[4].dataset == "mine"
    assert dataset[4].score_distribution @ range(1, 11) == pytest.approx(1 + 9 * 4 / 6)


def test_further_columns_come_back_as_attributes(root, tmp_path):
    own = RatingsDataset(tmp_path / "own", attributes=KIND)
    packed = PackedDataset(root, attributes=KIND)
    np.testing.assert_equal([s.attributes for s in packed], [s.attributes for s in own])
    assert packed[1].attributes == (0.0,)
    assert np.isnan(packed[0].attributes[0])


def test_a_mean_beside_counts_is_a_further_column(tmp_path, write_image):
    write_image(tmp_path / "own/images/a.png", (48, 64))
    (tmp_path / "own/ratings.csv").write_text("file,count_1,count_2,score\na.png,3,1,1.25\n")
    config = SetConfig(name="own", layout="ratings", low=1, high=2)
    pack(open_source(config, tmp_path), tmp_path / "packed")
    mean = {"score": Attribute("mean", 1, 2)}
    own = RatingsDataset(tmp_path / "own", low=1, high=2, attributes=mean)
    assert PackedDataset(tmp_path / "packed", attributes=mean)[0].attributes == own[0].attributes


def test_a_set_packed_without_further_columns_is_refused_where_they_are_asked_for(root, tmp_path):
    source = open_source(SetConfig(name="own", layout="ratings"), tmp_path)
    bare = replace(source, dataset=Subset(source.dataset, range(7)))  # pack knows no ratings in it
    pack(bare, tmp_path / "bare")
    assert len(PackedDataset(tmp_path / "bare")) == 7
    with pytest.raises(DatasetError, match=r"further columns.*pack it again"):
        PackedDataset(tmp_path / "bare", attributes=KIND)[0]


def test_loader_processes_read_the_same(root):
    dataset = PackedDataset(root)
    loaded = list(DataLoader(dataset, batch_size=None, num_workers=2, collate_fn=lambda s: s))
    for own, other in zip(dataset, loaded, strict=True):
        assert own.image_id == other.image_id
        assert (own.image == other.image).all()


def test_a_damaged_byte_is_an_error_that_names_the_shard_and_the_way_out(root):
    flip(root / "own-00001.tar", first_byte_of_the_second_image(root))
    dataset = PackedDataset(root)
    assert dataset[3].image.shape == (48, 64, 3)
    with pytest.raises(
        ImageDecodeError, match=r"own-00001\.tar is damaged at 4\.png.*checksum.*Delete it and run"
    ):
        dataset[4]


def test_a_cut_shard_is_an_error_before_anything_is_read(root):
    shard = root / "own-00002.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(DatasetError, match=r"own-00002\.tar should have \d+ bytes\. Found"):
        PackedDataset(root)


@pytest.mark.parametrize("lost", ["own-00001.tar", "own-00001.json"])
def test_a_lost_file_is_an_error_before_anything_is_read(root, lost):
    (root / lost).unlink()
    with pytest.raises(DatasetError, match=f"{lost}.*Found no such file"):
        PackedDataset(root)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "own"}'])
def test_a_manifest_of_another_kind_is_one_clear_error(root, text):
    (root / "manifest.json").write_text(text)
    with pytest.raises(DatasetError, match=r"manifest\.json should be"):
        PackedDataset(root)


def test_another_version_is_refused(root):
    path = root / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 2}))
    with pytest.raises(DatasetError, match=r"version 1\. Found 2; pack the set again"):
        PackedDataset(root)
