import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from saliency.datasets import DrawnDataset, RatingsDataset
from saliency.errors import ConfigError
from saliency.experiments.beauty_ridge import cross_validate
from saliency.metrics import srcc
from saliency.model import SaliencyNetwork
from saliency.model.readout import pool_features
from saliency.preprocessing import Preprocessing
from saliency.training.config import load_config
from saliency.types import SCORES

FOLDS, COUNT = 3, 30
RECIPE = """
[data]
height = 64
width = 96
sets = [{ name = "mine", layout = "ratings", split = "split.csv", low = 1, high = 10 }]
[model]
encoder = "test_efficientnet"
pretrained = false
ridge = 30.0
"""


@pytest.fixture
def recipe(tmp_path):
    """A recipe over drawn images with ratings in three folds, beside its data."""
    drawn = DrawnDataset(COUNT, 0, rated=True)
    (tmp_path / "mine/images").mkdir(parents=True)
    with (tmp_path / "mine/ratings.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "score"])
        for index in range(COUNT):
            sample = drawn[index]
            Image.fromarray(sample.image).save(tmp_path / f"mine/images/{index:02}.png")
            rows.writerow([f"{index:02}.png", float(sample.score_distribution @ SCORES)])
    lines = [f"{index:02}.png,train,{index % FOLDS}" for index in range(COUNT)]
    (tmp_path / "split.csv").write_text("\n".join(["image,part,fold", *lines]))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "recipe.toml"


def test_every_fold_equals_scikit_learns_ridge_on_the_other_folds(recipe):
    config = load_config(recipe)
    torch.manual_seed(0)
    results = cross_validate(config, recipe.parent)

    torch.manual_seed(0)  # the same random encoder
    model = replace(config.model, saliency=False, guidance=False, final_features=False)
    network = SaliencyNetwork(config.model_copy(update={"model": model}).architecture()).eval()
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    dataset = RatingsDataset(recipe.parent / "mine", "mine", low=1, high=10)
    samples = [dataset[index] for index in range(COUNT)]
    with torch.no_grad():
        features = np.concatenate(
            [
                pool_features(
                    [
                        network.encoder(
                            torch.from_numpy(preprocessing.to_input(sample.image))[None]
                        )[stage]
                        for stage in network.aesthetic_stages
                    ]
                ).numpy()
                for sample in samples
            ]
        )
    rated = np.array([sample.score_distribution @ SCORES for sample in samples])
    fold_of = np.arange(COUNT) % FOLDS
    for result in results:
        inside = fold_of == result.fold
        scaler = StandardScaler().fit(features[~inside])
        ridge = Ridge(alpha=30.0).fit(scaler.transform(features[~inside]), rated[~inside])
        expected = srcc(ridge.predict(scaler.transform(features[inside])), rated[inside])
        assert result.srcc == pytest.approx(expected, abs=0.03)  # torch's std divides by N - 1
    assert [result.images for result in results] == [COUNT // FOLDS] * FOLDS


def test_a_recipe_without_folds_is_an_error(recipe):
    text = (recipe.parent / "split.csv").read_text().splitlines()
    (recipe.parent / "split.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in text))
    with pytest.raises(ConfigError, match="folds"):
        cross_validate(load_config(recipe), recipe.parent)
