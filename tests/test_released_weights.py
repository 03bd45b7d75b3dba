"""The weights that come with the package: whole, small, and as good as their card says."""

import re
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from saliency import Predictor
from saliency.checkpoint import RELEASES, released_weights, to_sha256
from saliency.datasets.sets import build_set
from saliency.evaluation import evaluate
from saliency.training.config import load_config

ROOT = Path(__file__).parents[1]
MAX_BYTES = {"default": 20 * 10**6, "accurate": 45 * 10**6}
FACE = np.s_[60:190, 165:290]  # of the astronaut, a quarter of each side


@pytest.fixture(scope="module", params=RELEASES)
def predictor(request):
    return Predictor.load(request.param, "cpu")


@pytest.fixture(scope="module")
def held_out(data_root):
    """Return a function that opens every `step`-th image of a set that training never saw."""
    sets = {s.name: s for s in load_config(ROOT / "data/recipes/release.toml").data.sets}

    def open_part(name, step):
        whole = build_set(sets[name], "test", data_root)
        return type(whole)(whole.dataset, whole.indices[::step])

    return open_part


@pytest.mark.parametrize("name", RELEASES)
def test_the_file_is_small(name):
    assert released_weights(name).stat().st_size < MAX_BYTES[name]


def test_the_model_card_is_of_these_files():
    card = (ROOT / "weights" / "README.md").read_text(encoding="utf-8")
    named = re.findall(
        r"`(\S+\.safetensors)`, version [\d.]+, Apache 2.0, SHA-256\s`(\w{64})`", card
    )
    assert dict(named) == {file: to_sha256(released_weights(k)) for k, file in RELEASES.items()}


def test_the_file_says_what_it_is(predictor):
    card = predictor.card
    assert card.version != "unreleased"
    assert card.license == "Apache-2.0"
    assert card.data
    assert card.metrics
    assert card.config["model"]["encoder"] == predictor.architecture["encoder"]


def test_the_file_names_no_folder_of_its_maker(predictor):
    assert "/home/" not in str(predictor.card)
    assert not re.search(r"'/\w+/", str(predictor.card.config))


def test_both_heads_answer(predictor):
    prediction = predictor.predict(astronaut())
    assert prediction.density.sum() == pytest.approx(1, abs=1e-4)
    assert 1 <= prediction.score <= 10
    assert prediction.score_std > 0


def test_people_look_at_faces(predictor):
    density = predictor.predict(astronaut()).density
    share_of_area = density[FACE].size / density.size
    assert density[FACE].sum() > 3 * share_of_area


def test_attention_follows_the_face_to_another_side(predictor):
    # The centre bias alone would stay where it is.
    density = predictor.predict(np.ascontiguousarray(astronaut()[:, ::-1])).density
    mirrored = density[:, ::-1]
    assert mirrored[FACE].sum() > 1.5 * density[FACE].sum()


@pytest.mark.data
def test_maps_of_new_photos_match_where_people_looked(predictor, held_out):
    result = evaluate(predictor, held_out("osie", 11), full=False)
    assert result.images >= 8
    assert result.measures["CC"].value > 0.7


@pytest.mark.data
def test_scores_of_new_photos_rank_as_people_do(predictor, held_out):
    result = evaluate(predictor, held_out("oasis", 2), full=False)
    assert result.images >= 50
    assert result.measures["SRCC"].value > 0.4
