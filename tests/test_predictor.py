"""One photo gives the same numbers however it comes: any source, any batch, any neighbours."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from saliency.attributes import Attribute
from saliency.backends import NetworkOutput
from saliency.checkpoint import Card, Checkpoint, save_checkpoint
from saliency.devices import count_cores
from saliency.errors import (
    BackendError,
    CheckpointError,
    ConfigError,
    DeviceError,
    ImageError,
)
from saliency.images import read_image
from saliency.model import Architecture, SaliencyNetwork
from saliency.predictor import Predictor, to_prediction
from saliency.preprocessing import Preprocessing
from saliency.types import SCORES, Prediction

ARCHITECTURE = Architecture("test_efficientnet", decoder_channels=16, datasets=("osie",))
SALIENCY_ONLY = replace(ARCHITECTURE, aesthetics=False, guidance=False)
AESTHETICS_ONLY = replace(ARCHITECTURE, saliency=False, guidance=False)

# Landscape, portrait and square in turn, so that neighbours differ in orientation.
SIZES = [(60, 80), (50, 90), (80, 60), (64, 64), (90, 50), (100, 40), (33, 77)]


def build(architecture: Architecture = ARCHITECTURE) -> Checkpoint:
    """Build a checkpoint whose predictions differ clearly from photo to photo."""
    torch.manual_seed(0)
    network = SaliencyNetwork(architecture)
    with torch.no_grad():
        if network.decoder is not None:
            network.decoder.head.weight.mul_(20)
            for stage in network.decoder.stages if architecture.guidance else ():
                stage.film.modulation.weight.normal_(std=0.3)
        if network.aesthetics is not None:
            network.aesthetics.logits.weight.mul_(10)
    preprocessing = Preprocessing(64, 96, network.encoder.mean, network.encoder.std)
    return Checkpoint(network, preprocessing, Card())


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(build(), "cpu")


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return smooth coloured blobs, as photos are smooth, without a plain area."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def photos() -> list[NDArray[np.uint8]]:
    return [photo(*size, seed) for seed, size in enumerate(SIZES)]


def assert_same(found: Prediction, expected: Prediction) -> None:
    """Compare within 1e-4 of the density's peak and 1e-4 points of score."""
    assert found.image_size == expected.image_size
    assert np.abs(found.density - expected.density).max() <= 1e-4 * expected.density.max()
    assert found.score == pytest.approx(expected.score, abs=1e-4)


def test_photos_get_different_predictions(predictor):
    """Else the tests of sameness below would say nothing."""
    one, other = predictor.predict(photo(60, 80, 0)), predictor.predict(photo(60, 80, 1))
    assert np.abs(one.density - other.density).max() > 0.05 * one.density.max()
    assert abs(one.score - other.score) > 0.01


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (1, 500), (500, 1), (2, 3), (1200, 1600)])
class TestDensity:
    def test_it_has_the_photos_own_size(self, size, predictor):
        prediction = predictor.predict(photo(*size))
        assert prediction.density.shape == size == prediction.image_size

    def test_it_sums_to_1(self, size, predictor):
        density = predictor.predict(photo(*size)).density
        assert density.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)

    def test_it_is_not_negative(self, size, predictor):
        assert (predictor.predict(photo(*size)).density >= 0).all()

    def test_it_is_float32(self, size, predictor):
        assert predictor.predict(photo(*size)).density.dtype == np.float32


def test_a_density_is_where_the_network_put_it():
    log_density = np.full((1, 64, 96), -20.0, np.float32)
    log_density[0, 16:20, 72:76] = 0.0
    density = to_prediction(NetworkOutput(log_density, None), 0, (640, 960)).density
    row, column = np.unravel_index(density.argmax(), density.shape)
    assert 160 <= row < 200
    assert 720 <= column < 760


def test_a_density_keeps_its_mass_where_the_photo_is_smaller():
    log_density = np.full((1, 64, 96), -20.0, np.float32)
    log_density[0, 33, 1] = 0.0  # one pixel, which sampling alone would miss
    density = to_prediction(NetworkOutput(log_density, None), 0, (8, 12)).density
    assert density[4, 0] > 0.99


def test_the_row_asked_for_is_the_row_returned():
    logits = np.full((2, 10), -50.0, np.float32)
    logits[0, 2] = logits[1, 8] = 50.0
    assert to_prediction(NetworkOutput(None, logits), 1, (4, 6)).score == pytest.approx(9)


def test_flat_score_logits_by_hand():
    prediction = to_prediction(NetworkOutput(None, np.zeros((1, 10), np.float32)), 0, (4, 6))
    assert prediction.score == pytest.approx(5.5)
    assert prediction.score_std == pytest.approx(8.25**0.5)


def test_a_score_lies_between_1_and_10(predictor):
    assert all(1 <= p.score <= 10 for p in predictor.predict_many(photos()))


def test_a_score_distribution_sums_to_1(predictor):
    distribution = predictor.predict(photo(60, 80)).score_distribution
    assert distribution.shape == (10,)
    assert distribution.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_score_and_its_spread_are_those_of_the_distribution(predictor):
    prediction = predictor.predict(photo(60, 80))
    votes = prediction.score_distribution.astype(np.float64)
    assert prediction.score == pytest.approx(votes @ SCORES, abs=1e-5)
    variance = votes @ (SCORES - prediction.score) ** 2
    assert prediction.score_std == pytest.approx(variance**0.5, abs=1e-5)


def test_a_saliency_network_gives_no_score():
    prediction = Predictor(build(SALIENCY_ONLY), "cpu").predict(photo(60, 80))
    assert prediction.density is not None
    assert (prediction.score, prediction.score_std, prediction.score_distribution) == (None,) * 3


def test_an_aesthetic_network_gives_no_density():
    prediction = Predictor(build(AESTHETICS_ONLY), "cpu").predict(photo(60, 80))
    assert prediction.density is None
    assert prediction.score is not None


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_any_batch_gives_what_each_photo_gets_alone(batch_size, predictor):
    together = list(predictor.predict_many(photos(), batch_size))
    assert len(together) == len(SIZES)
    for found, image in zip(together, photos(), strict=True):
        assert_same(found, predictor.predict(image))


def test_portrait_and_landscape_keep_their_order(predictor):
    assert [p.image_size for p in predictor.predict_many(photos())] == SIZES


def test_the_same_batch_again_gives_exactly_the_same(predictor):
    first, second = (list(predictor.predict_many(photos())) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.density, other.density)
        assert one.score == other.score


@pytest.mark.parametrize("source", ["path", "text", "bytes", "pil"])
def test_every_source_gives_exactly_the_numbers_of_the_array(source, predictor, tmp_path):
    image = photo(60, 80)
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(buffer.getvalue())
    given = {
        "path": path,
        "text": str(path),
        "bytes": buffer.getvalue(),
        "pil": Image.fromarray(image),
    }[source]
    found, expected = predictor.predict(given), predictor.predict(image)
    assert np.array_equal(found.density, expected.density)
    assert found.score == expected.score


def test_a_view_of_an_array_is_a_photo_too(predictor):
    image = photo(60, 80)
    flipped = predictor.predict(image[:, ::-1])
    assert_same(flipped, predictor.predict(np.ascontiguousarray(image[:, ::-1])))


@pytest.mark.parametrize("size", [(60, 80), (64, 96)])
def test_a_read_only_array_is_a_photo_too(size, predictor):
    """`np.asarray` of a PIL image is one; at the network's own size it is not resized."""
    image = photo(*size)
    image.flags.writeable = False
    assert_same(predictor.predict(image), predictor.predict(image.copy()))


def to_jpeg(image: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(900, 1200), (1200, 900), (500, 2000)])
def test_a_large_jpeg_in_fewer_pixels_is_the_same_photo(size, predictor):
    data = to_jpeg(photo(*size))
    assert predictor.prepare(data).image.shape[:2] < size
    found, expected = predictor.predict(data), predictor.predict(read_image(data))
    assert found.image_size == expected.image_size == size
    assert found.density.shape == size
    assert np.abs(found.density - expected.density).max() <= 0.02 * expected.density.max()
    assert found.score == pytest.approx(expected.score, abs=0.02)


@pytest.mark.parametrize("side_px", [0, 400, 700, 1000, 1200, 5000, None])
def test_what_pictures_need_changes_nothing_for_the_network(side_px, predictor):
    data = to_jpeg(photo(900, 1200))
    prepared = predictor.prepare(data, picture_side_px=side_px)
    assert max(prepared.image.shape) >= min(1200 if side_px is None else side_px, 1200)
    assert prepared.size == (900, 1200)
    assert np.array_equal(prepared.input, predictor.prepare(data).input)


def test_no_photos_are_no_predictions(predictor):
    assert list(predictor.predict_many([])) == []


def test_photos_are_read_as_they_are_needed(predictor):
    taken = []

    def endless() -> Iterator[NDArray[np.uint8]]:
        while True:
            taken.append(photo(60, 80))
            yield taken[-1]

    next(predictor.predict_many(endless(), batch_size=2))
    assert len(taken) <= 2 * (2 * count_cores() + 1)  # groups in work or waiting, and one more


def test_a_photo_that_cannot_be_read_is_named(predictor, tmp_path):
    with pytest.raises(ImageError, match=r"absent\.jpg"):
        list(predictor.predict_many([photo(60, 80), tmp_path / "absent.jpg"]))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_an_error(batch_size, predictor):
    with pytest.raises(ValueError, match="at least 1"):
        list(predictor.predict_many([photo(60, 80)], batch_size))


def test_photos_from_nowhere_get_the_neutral_priors(predictor):
    checkpoint = build()
    with torch.no_grad():
        checkpoint.network.priors.center_bias_offsets.fill_(3.0)
        checkpoint.network.priors.log_temperature_offsets.fill_(1.0)
    assert_same(
        Predictor(checkpoint, "cpu").predict(photo(60, 80)), predictor.predict(photo(60, 80))
    )


def test_a_network_in_training_is_switched_to_evaluation():
    checkpoint = build()
    checkpoint.network.train()
    predictor = Predictor(checkpoint, "cpu")
    assert predictor.predict(photo(60, 80)).score == predictor.predict(photo(60, 80)).score


def test_a_saved_checkpoint_predicts_what_the_network_did(predictor, tmp_path):
    save_checkpoint(tmp_path / "tiny.safetensors", build())
    loaded = Predictor.load(tmp_path / "tiny.safetensors", device="cpu").predict(photo(60, 80))
    expected = predictor.predict(photo(60, 80))
    # Weights are stored as float16.
    assert np.abs(loaded.density - expected.density).max() < 0.02 * expected.density.max()
    assert loaded.score == pytest.approx(expected.score, abs=0.02)


def test_the_card_comes_along(tmp_path):
    save_checkpoint(tmp_path / "tiny.safetensors", replace(build(), card=Card(version="7")))
    assert Predictor.load(str(tmp_path / "tiny.safetensors"), device="cpu").card.version == "7"


def test_missing_weights_are_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.safetensors"):
        Predictor.load(tmp_path / "absent.safetensors", device="cpu")


def test_an_unknown_device_is_an_error():
    with pytest.raises(DeviceError, match="Found 'toaster'"):
        Predictor(build(), "toaster")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_an_absent_gpu_is_an_error_before_anything_is_loaded(tmp_path):
    with pytest.raises(DeviceError, match="use --device cpu"):
        Predictor.load(tmp_path / "absent.safetensors", device="cuda")


STATING = replace(
    ARCHITECTURE,
    attributes=(Attribute("mood", 1, 7), Attribute("kind", classes=("a", "b"))),
    heteroscedastic=True,
    dropout=0.2,
)


def test_a_stated_error_is_in_points_and_on_the_attributes_scale():
    checkpoint = build(STATING)
    checkpoint.network.aesthetics.error.start(0.25)
    checkpoint.network.attributes[0].error.start(0.01)
    prediction = Predictor(checkpoint, "cpu").predict(photo(60, 80))
    assert prediction.uncertainty.score_error_std == pytest.approx(0.5, rel=1e-3)
    assert prediction.uncertainty.score_model_std is None
    assert prediction.uncertainty.map_disagreement is None
    mood, kind = prediction.attributes
    assert mood.std == pytest.approx(0.6, rel=1e-3)
    assert kind.std is None


def test_stated_errors_differ_by_photo_and_not_by_batch():
    checkpoint = build(STATING)
    torch.nn.init.normal_(checkpoint.network.aesthetics.error.weight)
    predictor = Predictor(checkpoint, "cpu")
    together = [p.uncertainty.score_error_std for p in predictor.predict_many(photos(), 7)]
    alone = [predictor.predict(image).uncertainty.score_error_std for image in photos()]
    assert together == pytest.approx(alone, rel=1e-4)
    assert len(set(alone)) == len(alone)


def test_a_network_that_states_nothing_has_no_uncertainty(predictor):
    assert predictor.predict(photo(60, 80)).uncertainty is None


def test_a_checkpoint_keeps_what_states_errors(tmp_path):
    checkpoint = build(STATING)
    checkpoint.network.aesthetics.error.start(0.25)
    save_checkpoint(tmp_path / "stating", checkpoint)
    found = Predictor.load(tmp_path / "stating", "cpu").predict(photo(60, 80))
    assert found.uncertainty.score_error_std == pytest.approx(0.5, rel=2e-3)  # float16


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("dropped") / "own.safetensors"
    save_checkpoint(path, build(STATING))
    return path


class TestDropoutSamples:
    def test_they_spread_and_leave_everything_else_as_it_is(self, weights):
        plain = Predictor.load(weights, "cpu").predict(photo(60, 80))
        sampled = Predictor.load(weights, "cpu", dropout_samples=16).predict(photo(60, 80))
        assert sampled.uncertainty.score_model_std > 0.001
        assert sampled.uncertainty.score_error_std == plain.uncertainty.score_error_std
        assert_same(sampled, plain)

    def test_the_same_photo_gets_the_same_numbers_wherever_it_comes(self, weights):
        first, second = (Predictor.load(weights, "cpu", dropout_samples=8) for _ in range(2))
        together = [p.uncertainty.score_model_std for p in first.predict_many(photos(), 7)]
        again = [p.uncertainty.score_model_std for p in first.predict_many(photos(), 7)]
        alone = [second.predict(image).uncertainty.score_model_std for image in photos()]
        assert together == again
        assert together == pytest.approx(alone, abs=1e-4)

    def test_they_are_what_a_network_in_training_says(self, weights):
        """Their spread is that of the network's own dropout, up to chance."""
        predictor = Predictor.load(weights, "cpu", dropout_samples=400)
        prepared = predictor.prepare(photo(60, 80))
        found = predictor.predict_prepared([prepared])[0].uncertainty.score_model_std
        head = predictor.backend.network.aesthetics
        torch.manual_seed(0)
        with torch.no_grad():
            output = predictor.backend.network(torch.from_numpy(prepared.input)[None])
            head.dropout.train()
            many = head.dropout(output.aesthetic_features.expand(400, -1))
            scores = head.logits(many).softmax(dim=1) @ torch.from_numpy(SCORES).float()
        assert found == pytest.approx(float(scores.std()), rel=0.2)

    def test_a_network_trained_without_dropout_has_none(self, tmp_path):
        save_checkpoint(tmp_path / "own", build(replace(STATING, dropout=0.0)))
        with pytest.raises(ConfigError, match=r"model.dropout > 0. Found .* dropout = 0"):
            Predictor.load(tmp_path / "own", "cpu", dropout_samples=8)

    @pytest.mark.parametrize("backend", ["onnx", "openvino"])
    def test_exported_networks_cannot(self, weights, backend):
        with pytest.raises(BackendError, match=r"should be torch for dropout_samples"):
            Predictor.load(weights, "cpu", backend=backend, dropout_samples=8)


def test_a_row_of_an_output_is_a_batch_of_one():
    random = np.random.default_rng(0)

    def values(*shape):
        return random.random((3, *shape), np.float32)

    output = NetworkOutput(
        values(2, 4), values(10), (values(), values(2)), values(), (values(), None), values(5, 10)
    )
    attributes = (Attribute("mood", 1, 7), Attribute("kind", classes=("a", "b")))
    found = to_prediction(output.row(1), 0, (8, 8), attributes)
    expected = to_prediction(output, 1, (8, 8), attributes)
    assert found.attributes == expected.attributes
    assert found.uncertainty == expected.uncertainty
    assert np.array_equal(found.network_density, expected.network_density)
    assert found.score == expected.score


@pytest.mark.parametrize(("threads", "expected"), [(2, 1), (None, 2)])
def test_opencv_leaves_the_cores_to_those_who_call(threads, expected):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        Predictor.load(device="cpu", threads=threads)
        assert cv2.getNumThreads() == expected
    finally:
        cv2.setNumThreads(before)
