import json

import pytest

from saliency.bench.results import Baseline, Change, Ratio
from saliency.errors import ConfigError

NAME = "forward onnx, batch 1 / eager"


def ratio(value, spread=0.0):
    return Ratio(NAME, value, value - spread, value + spread)


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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "not JSON"])
def test_what_bench_did_not_write_is_refused(tmp_path, text):
    (tmp_path / "bench.json").write_text(text)

    with pytest.raises(ConfigError, match=r"should be a file of `saliency bench --json`"):
        Baseline.load(tmp_path / "bench.json")


def test_another_schema_is_named(tmp_path):
    (tmp_path / "bench.json").write_text(json.dumps({"schema": 99}))

    with pytest.raises(ConfigError, match=r"should have schema 2\. Found 99"):
        Baseline.load(tmp_path / "bench.json")


def test_a_run_of_the_former_schema_is_still_a_baseline(tmp_path):
    saved = {"schema": 1, "machine": {"cpu": "a"}, "ratios": [vars(ratio(1.0))], "growth": []}
    (tmp_path / "bench.json").write_text(json.dumps(saved))

    [change] = Baseline.load(tmp_path / "bench.json").changes([ratio(2.0), Ratio("other", 1, 1, 1)])

    assert change.growth == pytest.approx(1.0)


def test_nothing_in_common_is_an_error():
    with pytest.raises(ConfigError, match="measure both with the same"):
        Baseline("a", [Ratio("other", 1, 1, 1)]).changes([ratio(1.0)])
