import numpy as np
import pytest
import torch
from PIL import Image

from saliency import Card, Checkpoint, Predictor, save_checkpoint
from saliency.batch.scoring import ScoredPhoto, UnreadPhoto, require_score, score_photos
from saliency.datasets import DrawnDataset
from saliency.errors import InsightError
from saliency.images import read_image
from saliency.insights import to_perceptual_hash
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def predictor(tiny_weights):
    return Predictor.load(tiny_weights, "cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Landscape, portrait and broken photos, and one that is not there."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for number, sample in enumerate(DrawnDataset(6, seed=0)):
        image = sample.image if number % 2 else np.rot90(sample.image)
        Image.fromarray(image).save(folder / f"{number}.png")
        paths.append(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return [*paths[:2], folder / "broken.png", *paths[2:], folder / "absent.png"]


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_each_photo_has_its_own_score_and_hash(predictor, paths, batch_size):
    outcomes = list(score_photos(predictor, paths, batch_size))
    assert [outcome.path for outcome in outcomes] == paths
    for outcome in outcomes:
        if isinstance(outcome, ScoredPhoto):
            image = read_image(outcome.path)
            assert outcome.score == pytest.approx(predictor.predict(image).score, abs=1e-4)
            np.testing.assert_array_equal(outcome.perceptual_hash, to_perceptual_hash(image))


def test_what_cannot_be_read_says_why_and_stops_nothing(predictor, paths):
    unread = [o for o in score_photos(predictor, paths, 3) if isinstance(o, UnreadPhoto)]
    assert [outcome.path.name for outcome in unread] == ["broken.png", "absent.png"]
    assert "broken.png cannot be decoded" in unread[0].error
    assert "absent.png" in unread[1].error


def test_no_photo_is_no_outcome(predictor):
    assert list(score_photos(predictor, [])) == []


def test_a_network_without_an_aesthetic_head_is_said(tmp_path, paths):
    torch.manual_seed(0)
    network = SaliencyNetwork(
        Architecture("test_efficientnet", decoder_channels=16, aesthetics=False, guidance=False)
    )
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    save_checkpoint(tmp_path / "w.safetensors", Checkpoint(network, preprocessing, Card()))
    with pytest.raises(InsightError, match="aesthetic head"):
        list(score_photos(Predictor.load(tmp_path / "w.safetensors", "cpu"), paths))


def test_a_score_that_is_there_is_handed_back():
    assert require_score(5.5) == 5.5
