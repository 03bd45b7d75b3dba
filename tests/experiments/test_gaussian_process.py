import csv

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.datasets import DrawnDataset
from saliency.errors import ConfigError
from saliency.experiments.beauty_ridge import cross_validate as cross_validate_ridge
from saliency.experiments.gaussian_process import FoldResult, Rated, cross_validate
from saliency.training.config import load_config
from saliency.types import SCORES

FOLDS, COUNT = 4, 48
RECIPE = """
[data]
height = 64
width = 96
sets = [{ name = "mine", layout = "ratings", split = "split.csv", low = 1, high = 10 }]
attributes = [
    { name = "twice", low = 2, high = 20 },
    { name = "kind", classes = ["a", "b"] },
]
[model]
encoder = "test_efficientnet"
pretrained = false
ridge = 30.0
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe over drawn images, rated and with twice the rating; fold 0 is the test part."""
    folder = tmp_path_factory.mktemp("rated")
    drawn = DrawnDataset(COUNT, 0, rated=True)
    (folder / "mine/images").mkdir(parents=True)
    with (folder / "mine/ratings.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "score", "twice", "kind"])
        for index in range(COUNT):
            sample = drawn[index]
            Image.fromarray(sample.image).save(folder / f"mine/images/{index:02}.png")
            score = float(sample.score_distribution @ SCORES)
            twice = "" if index == 5 else 2 * score
            rows.writerow([f"{index:02}.png", score, twice, "ab"[index % 2]])
    lines = ["image,part,fold"]
    for index in range(COUNT):
        fold = index % FOLDS
        lines.append(f"{index:02}.png,{'train' if fold else 'test'},{fold}")
    (folder / "split.csv").write_text("\n".join(lines))
    (folder / "recipe.toml").write_text(RECIPE)
    return folder / "recipe.toml"


@pytest.fixture(scope="module")
def rated(recipe):
    torch.manual_seed(0)
    return cross_validate(load_config(recipe), recipe.parent)


def test_beauty_and_scales_are_targets_and_classes_are_not(rated):
    assert rated.targets == ("beauty", "twice")


def test_the_test_part_is_left_alone(rated):
    assert [fold.fold for fold in rated.folds] == [1, 2, 3]


def test_an_image_without_one_of_the_ratings_is_left_out(rated):
    assert [fold.images for fold in rated.folds] == [11, 12, 12]  # number 5 is in fold 1


def test_ridge_on_beauty_is_the_beauty_baseline(recipe, rated):
    torch.manual_seed(0)  # the same random encoder
    expected = cross_validate_ridge(load_config(recipe), recipe.parent)
    # Fold 1 is trained on the same images, but for those that lack another rating.
    assert rated.folds[0].ridge[0] == pytest.approx(expected[1].srcc, abs=0.15)


def test_outputs_that_say_the_same_are_found_to_be_one(rated):
    for fold in rated.folds:
        assert fold.correlations[0, 1] > 0.95
        assert fold.together[0] == pytest.approx(fold.together[1], abs=0.1)


def test_errors_are_in_the_targets_own_units(rated):
    errors = np.concatenate([fold.errors for fold in rated.folds])
    stds = np.concatenate([fold.stds for fold in rated.folds])
    assert np.abs(errors[:, 1]).mean() == pytest.approx(2 * np.abs(errors[:, 0]).mean(), rel=0.1)
    assert stds[:, 1].mean() == pytest.approx(2 * stds[:, 0].mean(), rel=0.1)


def test_calibration_of_right_and_of_useless_deviations():
    random = np.random.default_rng(0)
    stds = random.uniform(0.5, 3, size=(4000, 2))
    errors = np.stack([stds[:, 0], np.full(4000, 1.0)], axis=1) * random.normal(size=(4000, 2))
    fold = FoldResult(1, 4000, (), (), (), np.eye(2), 1.0, 0.1, errors, stds)
    result = Rated(("right", "useless"), (fold,))
    right, useless = result.calibration("right"), result.calibration("useless")
    assert right.srcc > 0.3
    assert right.within_one == pytest.approx(0.683, abs=0.02)
    assert right.within_two == pytest.approx(0.954, abs=0.02)
    assert abs(useless.srcc) < 0.05


def test_a_split_with_a_single_fold_to_train_on_is_an_error(recipe, tmp_path):
    text = recipe.parent.joinpath("split.csv").read_text()
    (tmp_path / "split.csv").write_text(text.replace("train,2", "test,2").replace(",3", ",1"))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    with pytest.raises(ConfigError, match="two or more folds"):
        cross_validate(load_config(tmp_path / "recipe.toml"), recipe.parent)
