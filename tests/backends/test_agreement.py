"""Every backend predicts the same as PyTorch: one photo, several, or from several threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from saliency import Predictor
from saliency.datasets.sets import build_set
from saliency.metrics import cc
from saliency.training.config import load_config

ROOT = Path(__file__).parents[2]
MODES = [("onnx", "float32"), ("openvino", "float32"), ("openvino", "bfloat16")]
BACKENDS = ["torch", "onnx", "openvino"]


@pytest.fixture(scope="module")
def reference():
    return Predictor.load(device="cpu", backend="torch")


@pytest.fixture(scope="module", params=MODES, ids=" ".join)
def predictor(request):
    backend, precision = request.param
    return Predictor.load(device="cpu", precision=precision, backend=backend)


def limit_of(predictor):
    """Return how far scores may be from PyTorch's: the largest of 186 photos is .003 and .056."""
    return 0.02 if predictor.precision == "float32" else 0.08


def test_maps_and_scores_are_those_of_pytorch(predictor, reference, photos):
    for photo in photos:
        found, expected = predictor.predict(photo), reference.predict(photo)
        assert cc(found.density, expected.density) >= 0.9995
        assert found.score == pytest.approx(expected.score, abs=limit_of(predictor))
        assert found.score_std == pytest.approx(expected.score_std, abs=limit_of(predictor))


def test_in_float32_only_the_storage_of_weights_makes_a_difference(predictor, reference, photos):
    if predictor.precision != "float32":
        pytest.skip("about float32")
    for photo in photos:
        found, expected = predictor.predict(photo), reference.predict(photo)
        assert np.abs(found.density - expected.density).max() < 0.005 * expected.density.max()
        assert found.score == pytest.approx(expected.score, abs=0.004)


@pytest.mark.data
def test_labelled_photos_get_the_maps_and_scores_of_pytorch(predictor, reference, data_root):
    """Photos with plain areas, on which bfloat16 errs most, are among them."""
    for config in load_config(ROOT / "data/recipes/release.toml").data.sets:
        dataset = build_set(config, "val", data_root)
        for index in range(0, len(dataset), 4):
            image = dataset[index].image
            found, expected = predictor.predict(image), reference.predict(image)
            assert cc(found.density, expected.density) >= 0.9995
            assert found.score == pytest.approx(expected.score, abs=limit_of(predictor))


def test_a_batch_changes_nothing(predictor, photos):
    for found, photo in zip(predictor.predict_many(photos), photos, strict=True):
        alone = predictor.predict(photo)
        assert np.array_equal(found.density, alone.density)
        assert found.score == alone.score


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_threads_at_once_get_what_one_gets_alone(backend, photos):
    alone = Predictor.load(device="cpu", backend=backend)
    expected = [alone.predict(photo) for photo in photos]
    shared = Predictor.load(device="cpu", backend=backend, threads=3)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(shared.predict, photos * 3))
    for found, wanted in zip(together, expected * 3, strict=True):
        assert np.abs(found.density - wanted.density).max() <= 1e-4 * wanted.density.max()
        assert found.score == pytest.approx(wanted.score, abs=1e-4)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_predicting_with_an_exported_network_imports_no_pytorch(backend, tmp_path, photos):
    np.save(tmp_path / "photo.npy", photos[0])
    code = (
        "import sys, numpy; from saliency import Predictor; "
        f"photo = numpy.load({str(tmp_path / 'photo.npy')!r}); "
        f"print(Predictor.load(device='cpu', backend={backend!r}).predict(photo).score); "
        "print([name for name in ('torch', 'timm', 'onnx') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[1] == "[]"
