import json

import pytest

from saliency.bench.baseline import Change, load_baseline
from saliency.bench.results import Ratio
from saliency.errors import ConfigError


def ratio(value, spread=0.0):
    return Ratio("forward onnx, batch 1 / eager", value, value - spread, value + spread)


@pytest.mark.parametrize(
    ("before", "now", "is_worse"),
    [
        (ratio(1.0), ratio(1.2), True),
        (ratio(1.0), ratio(1.1), False),  # within what is tolerated
        (ratio(1.0), ratio(0.5), False),
        (ratio(1.0, spread=0.2), ratio(1.3, spread=0.2), False),  # the rounds overlap
        (ratio(1.0, spread=0.1), ratio(1.3, spread=0.1), True),
    ],
)
def test_worse_is_beyond_tolerance_and_noise(before, now, is_worse):
    assert Change(before, now).is_worse is is_worse


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', "not JSON"])
def test_what_bench_did_not_write_is_refused(tmp_path, text):
    (tmp_path / "bench.json").write_text(text)

    with pytest.raises(ConfigError, match=r"should be what `saliency bench --json` wrote"):
        load_baseline(tmp_path / "bench.json")


def test_another_schema_is_named(tmp_path):
    (tmp_path / "bench.json").write_text(json.dumps({"schema": 99}))

    with pytest.raises(ConfigError, match=r"should have schema 1\. Found 99"):
        load_baseline(tmp_path / "bench.json")
