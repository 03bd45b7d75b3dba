"""The cut that lets a part of the network stay in float32."""

import numpy as np
import openvino
import pytest

from saliency.backends.graphs import find_graphs
from saliency.backends.openvino import split
from saliency.checkpoint import read_header, released_weights


@pytest.fixture(scope="module")
def parts():
    weights = released_weights()
    graphs = find_graphs(weights, read_header(weights).preprocessing)
    whole = openvino.Core().read_model(graphs.paths[288, 384])
    return whole.clone(), *split(whole)


def test_it_is_behind_the_shallowest_feature_that_a_head_reads(parts):
    _, shallow, _ = parts
    assert list(shallow.output(0).get_shape()) == [1, 24, 72, 96]


def test_both_parts_one_after_the_other_are_the_whole(parts):
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    whole, shallow, deep = (openvino.Core().compile_model(part, "CPU", options) for part in parts)
    image = np.random.default_rng(0).standard_normal((1, 3, 288, 384)).astype(np.float32)
    expected = whole(image)
    found = deep(next(iter(shallow(image).values())))
    for name in ("log_density", "score_logits"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)
