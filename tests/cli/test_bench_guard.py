"""Guards against slow code: ratios with room for noisy machines, never times."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(saliency_process, tmp_path_factory) -> dict[str, Any]:
    """The results of a short bench of the released weights, each forward on one core."""
    file: Path = tmp_path_factory.mktemp("bench") / "bench.json"
    ended = saliency_process(
        "bench", "--backend", "onnx", "--backend", "torch", "--batch-size", "1", "--photo-size",
        "0.3", "--photo-size", "12", "--seconds", "0.2", "--threads", "1", "--json", file,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return json.loads(file.read_text())


@pytest.fixture(scope="module")
def ratios(results) -> dict[str, float]:
    return {ratio["name"]: ratio["value"] for ratio in results["ratios"]}


def test_onnx_runtime_computes_the_network_faster_than_torch(ratios):
    # .33 where it was written
    of_eager = "forward {}, batch 1 / eager"
    assert ratios[of_eager.format("onnx")] / ratios[of_eager.format("torch")] <= 0.6


def test_predicting_is_faster_with_the_default_backend(ratios):
    # .35 where it was written
    assert ratios["predict_many onnx, 0.3 MP / torch"] <= 0.75


def test_large_photos_are_not_decoded_whole(results):
    # .6 where it was written; after decoding the whole photo it would be more than 1.
    ms = {
        measurement["stage"]: measurement["ms"]
        for measurement in results["measurements"]
        if measurement["megapixels"] == 12 and measurement["backend"] is None
    }
    assert ms["prepare"] < ms["decode"]
