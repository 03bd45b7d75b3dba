import csv

import numpy as np
import pytest

from saliency.datasets import RatingsDataset
from saliency.errors import DatasetError
from saliency.types import SCORES

COUNTS = "file,group,count_1,count_2,count_3,count_4,count_5,count_6,count_7\n"


@pytest.fixture
def root(tmp_path, write_image):
    for name in ("Acorns1.jpg", "Acorns2.jpg", "Beach1.jpg"):
        write_image(tmp_path / "images" / name)
    (tmp_path / "ratings.csv").write_text(
        COUNTS
        + "Beach1.jpg,beach,0,0,0,0,0,0,9\n"
        + "Acorns1.jpg,acorns,0,0,1,0,1,0,0\n"
        + "Acorns2.jpg,,1,0,0,0,0,0,0\n"
    )
    return tmp_path


def test_histograms_reach_the_ten_bins(root):
    dataset = RatingsDataset(root)
    means = [float(sample.score_distribution @ SCORES) for sample in dataset]
    assert means == pytest.approx([9.7, 5.5, 1.3], abs=0.01)
    assert dataset[0].score_distribution.dtype == np.float32
    assert dataset[0].density is None


def test_groups_stand_beside_the_ids(root):
    dataset = RatingsDataset(root)
    assert dataset.ids == ("Beach1.jpg", "Acorns1.jpg", "Acorns2.jpg")
    assert dataset.groups == ("beach", "acorns", "Acorns2.jpg")  # without one: its own


def test_mean_ratings_suffice(root):
    # As spreadsheets save it: with a byte-order mark.
    (root / "own.csv").write_text("file,score\nBeach1.jpg,2.5\n", encoding="utf-8-sig")
    dataset = RatingsDataset(root, name="own", csv_name="own.csv", low=0, high=5)
    assert dataset[0].score_distribution @ SCORES == pytest.approx(5.5)
    assert dataset[0].dataset == "own"


def test_images_and_rows_without_a_partner_are_reported_and_left_out(root, write_image, caplog):
    (root / "images/Beach1.jpg").unlink()
    write_image(root / "images/Car.jpg")
    assert RatingsDataset(root).ids == ("Acorns1.jpg", "Acorns2.jpg")
    assert "Beach1.jpg" in caplog.text
    assert "Car.jpg" in caplog.text


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("image,score", "column `file`"),
        ("file,mean", "`count_1` to `count_7` or `score`"),
        ("file,count_1,count_2,count_3", r"every rating r of 1\.\.7"),
        ("file,count_1,count_7", r"every rating r of 1\.\.7"),
        ("", "column `file`"),
    ],
)
def test_columns_of_another_scale_or_kind_are_refused(root, header, message):
    (root / "ratings.csv").write_text(header + "\n")
    with pytest.raises(DatasetError, match=message):
        RatingsDataset(root)


@pytest.mark.parametrize("row", ["a.jpg,x,1,2,3,4,5,6,many", "a.jpg,x,1,2", "a.jpg,x" + ",0" * 7])
def test_a_bad_row_is_named_by_its_line(root, row):
    with (root / "ratings.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(DatasetError, match=r"ratings\.csv, line 5"):
        RatingsDataset(root)


def test_an_image_rated_twice_is_refused(root):
    with (root / "ratings.csv").open("a") as file:
        file.write("Beach1.jpg,beach,1,1,1,1,1,1,1\n")
    with pytest.raises(DatasetError, match=r"once. Found twice: Beach1\.jpg"):
        RatingsDataset(root)


def test_a_wrong_folder_says_what_was_expected_and_found(root):
    with pytest.raises(DatasetError, match=r"scores\.csv.*Found in .*images/, ratings\.csv"):
        RatingsDataset(root, csv_name="scores.csv")


@pytest.mark.data
def test_real_oasis_keeps_the_published_means(data_root):
    dataset = RatingsDataset(data_root / "oasis")
    assert len(dataset) == 614
    assert len(set(dataset.groups)) < 614
    with (data_root / "oasis/ratings.csv").open(newline="") as file:
        published = {row["file"]: float(row["beauty_mean"]) for row in csv.DictReader(file)}
    for index in range(0, 614, 100):
        mean = float(dataset[index].score_distribution @ SCORES)
        expected = 5.5 + 10 / 7 * (published[dataset.ids[index]] - 4)
        assert mean == pytest.approx(expected, abs=0.09)  # two decimals, and the scale's ends


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("file,score\nBeach1.jpg,4,5\n", "line 2: a line should have 2 cells"),  # decimal comma
        ("score,file\n4\n", "line 2: a line should have 2 cells"),
        ("file,score\n,4\n", "line 2: a line should have 2 cells"),
        ("file,score,score\nBeach1.jpg,4,5\n", "each column once"),
        ('file,score,remark\nBeach1.jpg,4,"nice\nAcorns1.jpg,5,\n', "should be a CSV"),
        ("file,score\nBeach1.jpg," + "4" * 200_000 + "\n", "should be a CSV"),
        (
            COUNTS.replace("count_1", "count_01") + "Beach1.jpg,,1,0,0,0,0,0,0\n",
            "column `count_<r>`",
        ),
    ],
)
def test_a_table_that_could_be_misread_is_an_error(root, text, found):
    (root / "ratings.csv").write_text(text)
    with pytest.raises(DatasetError, match=found):
        RatingsDataset(root)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_of_another_encoding_is_an_error(root, encoding):
    (root / "ratings.csv").write_bytes("file,score\nBüste.jpg,4\n".encode(encoding))
    with pytest.raises(DatasetError, match="UTF-8"):
        RatingsDataset(root)
