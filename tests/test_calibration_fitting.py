import sys

import numpy as np
import pytest

from saliency.calibration_fitting import fit_calibration, measure_held_out, read_ratings
from saliency.errors import ConfigError, DatasetError

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.uniform(3, 9, 300)


def alone(count):
    return np.array([f"photo {i}" for i in range(count)])


def judge_harshly(scores):
    """Rate on 1..5 by a curve that is low for all but the best."""
    return 1 + 4 * ((scores - 1) / 9) ** 4


def test_a_monotone_curve_is_found():
    calibration = fit_calibration(SCORES, judge_harshly(SCORES), "sha")
    between = np.linspace(3.2, 8.8, 50)
    np.testing.assert_allclose(calibration.apply(between), judge_harshly(between), atol=0.05)
    assert calibration.weights_sha256 == "sha"


def test_ratings_that_fall_with_the_score_give_their_mean():
    calibration = fit_calibration(SCORES, -SCORES, "sha")
    assert calibration.apply(3.5) == pytest.approx(-SCORES.mean())
    assert calibration.apply(8.5) == pytest.approx(-SCORES.mean())


def test_equal_scores_become_the_mean_of_their_ratings():
    calibration = fit_calibration(np.array([5.0, 5.0, 5.0]), np.array([1.0, 2.0, 6.0]), "sha")
    assert calibration.apply(5.0) == 3


def test_a_harsh_judge_is_met_better_and_the_order_stays():
    ratings = (judge_harshly(SCORES) + RANDOM.normal(0, 0.1, 300)).clip(1, 5)
    result = measure_held_out(SCORES, ratings, alone(300), 1, 5)
    assert result.after.mae.interval.high < result.before.mae.interval.low
    assert result.after.plcc.value > result.before.plcc.value
    assert result.after.srcc.value == pytest.approx(result.before.srcc.value, abs=0.02)


def test_before_is_the_score_stretched_to_the_scale():
    result = measure_held_out(SCORES, (SCORES - 1) / 9 * 100, alone(300), 0, 100)
    assert result.before.mae.value == pytest.approx(0, abs=1e-9)


def test_what_is_measured_was_not_fitted():
    # Ratings that are pure noise are met better where the map has seen them.
    seen, unseen = [], []
    for seed in range(5):
        scores, noise = np.random.default_rng(seed).uniform(1, 5, (2, 30))
        calibrated = fit_calibration(scores, noise, "sha").apply(scores)
        seen.append(np.abs(calibrated - noise).mean())
        unseen.append(measure_held_out(scores, noise, alone(30), 1, 5).after.mae.value)
    assert np.mean(unseen) > 1.1 * np.mean(seen)


def test_a_third_is_held_out_and_nothing_counts_twice():
    result = measure_held_out(SCORES, SCORES, alone(300), 1, 10)
    assert (result.fitted_rows, result.rows) == (200, 100)


def test_photos_of_a_group_stay_together():
    groups = np.repeat(alone(37), 8)
    result = measure_held_out(SCORES[:296], SCORES[:296], groups, 1, 10)
    assert (result.fitted_rows % 8, result.rows) == (0, 104)


@pytest.mark.parametrize("count", [0, 1, 29])
def test_too_few_photos_are_refused(count):
    with pytest.raises(DatasetError, match=f"at least 30 photos.* Found {count} photos"):
        measure_held_out(SCORES[:count], SCORES[:count], alone(count), 1, 10)


def test_photos_of_a_single_group_cannot_be_divided():
    with pytest.raises(DatasetError, match="in 1 groups"):
        measure_held_out(SCORES, SCORES, np.full(300, "all"), 1, 10)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.isotonic", None)
    with pytest.raises(ConfigError, match=r"pip install 'aesthetic-saliency\[calibrate\]'"):
        fit_calibration(SCORES, SCORES, "sha")


def write(tmp_path, text, encoding="utf-8"):
    (tmp_path / "ratings.csv").write_text(text, encoding=encoding)
    return tmp_path / "ratings.csv"


def test_ratings_are_read_in_order(tmp_path):
    table = write(tmp_path, "file,score,note\na.jpg,1,x\nsub/b.jpg,4.5,\n")
    first, second = read_ratings(table, tmp_path / "images", "score", 1, 5)
    assert (first.path, first.rating) == (tmp_path / "images/a.jpg", 1)
    assert (second.path, second.rating) == (tmp_path / "images/sub/b.jpg", 4.5)
    assert first.group != second.group


def test_a_group_is_read_where_there_is_one(tmp_path):
    table = write(tmp_path, "file,score,group\na.jpg,1,one\nb.jpg,1,one\nc.jpg,2,\n")
    groups = [rating.group for rating in read_ratings(table, tmp_path, "score", 1, 5)]
    assert groups == ["one", "one", str(tmp_path / "c.jpg")]


def test_a_spreadsheets_mark_before_the_first_column_is_no_part_of_it(tmp_path):
    table = write(tmp_path, "file,score\na.jpg,1\n", encoding="utf-8-sig")
    assert len(read_ratings(table, tmp_path, "score", 1, 5)) == 1


@pytest.mark.parametrize(
    "header", ["", "name,score", "file,rating", "file,score,score", "file,file,score"]
)
def test_missing_columns_are_named(tmp_path, header):
    with pytest.raises(DatasetError, match="should have the columns `file` and `score`"):
        read_ratings(write(tmp_path, f"{header}\n"), tmp_path, "score", 1, 5)


@pytest.mark.parametrize("value", ["", "good", "0.9", "5.1", "nan", "inf"])
def test_a_rating_off_the_scale_is_named_with_its_line(tmp_path, value):
    table = write(tmp_path, f"file,score\na.jpg,3\nb.jpg,{value}\n")
    with pytest.raises(DatasetError, match=r"line 3: `score` should be a number in 1\.\.5"):
        read_ratings(table, tmp_path, "score", 1, 5)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("file,score", "a.jpg"),
        ("score,file", "3"),
        ("file,score", "a.jpg,3,5"),
        ("file,score", ",3"),
    ],
    ids=["no rating", "no file", "decimal comma", "empty file"],
)
def test_a_row_of_other_cells_than_the_columns_is_named(tmp_path, header, row):
    table = write(tmp_path, f"{header}\n{row}\n")
    with pytest.raises(DatasetError, match="line 2: there should be 2 cells"):
        read_ratings(table, tmp_path, "score", 1, 5)


def test_a_quote_that_is_not_closed_is_refused(tmp_path):
    table = write(tmp_path, 'file,score\na.jpg,3\n"b.jpg,4\nc.jpg,5\n')
    with pytest.raises(DatasetError, match="should be a CSV file"):
        read_ratings(table, tmp_path, "score", 1, 5)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_what_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "ratings.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=f"{path} should be a CSV file"):
        read_ratings(path, tmp_path, "score", 1, 5)


@pytest.mark.parametrize(("low", "high"), [(5, 1), (3, 3)])
def test_a_scale_goes_up(tmp_path, low, high):
    with pytest.raises(DatasetError, match="`low` should be below `high`"):
        read_ratings(write(tmp_path, "file,score\n"), tmp_path, "score", low, high)
