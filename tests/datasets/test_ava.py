import time
import tracemalloc

import numpy as np
import pytest

from saliency.datasets import AvaDataset
from saliency.datasets.ava import read_votes
from saliency.errors import DatasetError, ImageError

FULL_LENGTH = 255_530


def write_rows(path, image_ids, votes) -> None:
    tags = np.zeros((len(image_ids), 3), np.int64)
    rows = np.column_stack([np.arange(1, len(image_ids) + 1), image_ids, votes, tags])
    lines = (" ".join(map(str, row)) for row in rows.tolist())
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path, write_image):
    votes = np.zeros((3, 10), np.int64)
    votes[0, 4], votes[1, :2], votes[2, 9] = 7, (1, 3), 2
    write_rows(tmp_path / "AVA.txt", np.array([953, 954, 12]), votes)
    for image_id in (953, 954, 12):
        write_image(tmp_path / f"images/{image_id}.jpg")
    return tmp_path


def test_votes_become_a_distribution(root):
    sample = AvaDataset(root)[1]
    assert sample.image_id == "954.jpg"
    np.testing.assert_allclose(sample.score_distribution, [0.25, 0.75] + [0] * 8)
    assert sample.score_distribution.dtype == np.float32
    assert sample.density is None


def test_missing_images_are_reported_and_left_out(root, caplog):
    (root / "images/954.jpg").unlink()
    dataset = AvaDataset(root)
    assert dataset.ids == ("953.jpg", "12.jpg")
    np.testing.assert_allclose(dataset[1].score_distribution, [0] * 9 + [1])
    assert "skipped 1 images missing" in caplog.text
    assert "954.jpg" in caplog.text


def test_an_official_list_selects_rows(root, caplog):
    (root / "generic_test.jpgl").write_text("12\n953\n777\n\n")
    dataset = AvaDataset(root, image_list=root / "generic_test.jpgl")
    assert set(dataset.ids) == {"953.jpg", "12.jpg"}
    assert "777.jpg" in caplog.text  # listed, but nobody voted on it


def test_an_odd_line_in_a_list_is_an_error(root):
    (root / "list.jpgl").write_text("12\n953.jpg\n")
    with pytest.raises(DatasetError, match=r"list\.jpgl .*Found '953\.jpg'"):
        AvaDataset(root, image_list=root / "list.jpgl")


def test_a_damaged_image_is_an_image_error_on_access_only(root):
    (root / "images/953.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    dataset = AvaDataset(root)
    assert len(dataset) == 3
    with pytest.raises(ImageError, match=r"953\.jpg"):
        dataset[0]


def test_foreign_files_among_the_images_are_passed_over(root, write_image):
    write_image(root / "images/cover.jpg")
    (root / "images/Thumbs.db").touch()
    assert len(AvaDataset(root)) == 3


@pytest.mark.parametrize("text", ["1 2 3\n", "1 2 3\n4 5\n", "a b c\n", "", "<html></html>\n"])
def test_a_file_of_another_kind_is_one_clear_error(root, text):
    (root / "AVA.txt").write_text(text)
    with pytest.raises(DatasetError, match=r"AVA\.txt should have 15 whole numbers in each row"):
        AvaDataset(root)


def test_a_row_without_votes_is_an_error_that_names_the_image(root):
    write_rows(root / "AVA.txt", np.array([953]), np.zeros((1, 10), np.int64))
    with pytest.raises(DatasetError, match="for image 953"):
        AvaDataset(root)


def test_images_of_other_rows_only_are_an_error(root):
    write_rows(root / "AVA.txt", np.array([1, 2]), np.ones((2, 10), np.int64))
    with pytest.raises(DatasetError, match="Found none"):
        AvaDataset(root)


def test_a_wrong_folder_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "AVA.zip").touch()
    with pytest.raises(DatasetError, match=r"AVA\.txt.*Found in .*AVA\.zip"):
        AvaDataset(tmp_path)


def test_all_of_ava_is_read_in_seconds_with_little_memory(root):
    rng = np.random.default_rng(0)
    image_ids = rng.permutation(1_000_000)[:FULL_LENGTH]
    image_ids[:3] = (2_000_953, 2_000_954, 953)
    (root / "AVA.txt").write_text(
        "\n".join(
            f"{i} {ava_id} 1 5 6 51 117 78 29 10 6 1 23 40 873"
            for i, ava_id in enumerate(image_ids.tolist())
        )
    )
    started = time.process_time()
    text = (root / "AVA.txt").read_text()
    assert sum(int(line.split()[1]) for line in text.splitlines()) == image_ids.sum()
    by_hand_s = time.process_time() - started
    started = time.process_time()
    dataset = AvaDataset(root)
    elapsed_s = time.process_time() - started
    assert "953.jpg" in dataset.ids
    assert elapsed_s < 5 * by_hand_s  # about as long as one look at every line in Python
    tracemalloc.start()
    AvaDataset(root)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 150e6


def test_the_rating_is_the_votes_without_the_image(root):
    (root / "images/954.jpg").write_bytes(b"damaged")
    assert AvaDataset(root).rating(1).votes == (1, 3, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.data
def test_real_ava(data_root):
    root = data_root / "ava"
    image_ids, votes = read_votes(root / "AVA.txt")
    assert len(image_ids) == 25_594
    assert votes[0].tolist() == [1, 5, 6, 51, 117, 78, 29, 10, 6, 1]
    dataset = AvaDataset(root)
    assert len(dataset) == 63
    assert all(sample.score_distribution.sum() == pytest.approx(1) for sample in dataset)


@pytest.mark.data
def test_real_lists_are_read(data_root):
    lists = data_root / "ava/aesthetics_image_lists"
    train = AvaDataset(data_root / "ava", image_list=lists / "generic_ls_train.jpgl")
    test = AvaDataset(data_root / "ava", image_list=lists / "generic_test.jpgl")
    assert train.ids
    assert test.ids
    assert not set(train.ids) & set(test.ids)
